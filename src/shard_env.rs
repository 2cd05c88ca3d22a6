//! RINGSOUP_ variables: how many shards, on which CPUs, how patient. A wrong value is a settings error: a
//! worker that silently ignores its operator is worse than one that does not start.

use std::time::Duration;

use ringsoup_control::shards::COALESCE_MAX;

use crate::args::SettingsError;

/// More shards than this would cost memory and help nobody: no host has more CPUs for one worker.
pub(crate) const SHARDS_MAX: u16 = 256;
/// Highest CPU number the kernel's affinity masks of the usual size hold.
const CPU_MAX: usize = 1023;

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct ShardEnv {
    pub(crate) count: Option<u16>,
    /// Empty means no pinning.
    pub(crate) cpus: Vec<usize>,
    pub(crate) coalesce: Option<Duration>,
}

impl ShardEnv {
    /// `get` looks a variable up, `usable` says whether this process may run on a CPU.
    ///
    /// # Errors
    /// Names the variable.
    pub(crate) fn read(
        get: impl Fn(&str) -> Option<String>,
        usable: impl Fn(usize) -> bool,
    ) -> Result<Self, SettingsError> {
        let cpus = match get("RINGSOUP_CPUS") {
            Some(text) => cpu_list(&text)
                .filter(|cpus| !cpus.is_empty())
                .ok_or_else(|| invalid("RINGSOUP_CPUS", &text, "a list such as 0,2-3"))?,
            None => Vec::new(),
        };
        if let Some(cpu) = cpus.iter().find(|cpu| !usable(**cpu)) {
            return Err(SettingsError(format!("RINGSOUP_CPUS: CPU {cpu} is not available to this process")));
        }
        let count = get("RINGSOUP_SHARDS").map(|text| {
            let count = text.parse().ok().filter(|count| (1..=SHARDS_MAX).contains(count));
            count.ok_or_else(|| invalid("RINGSOUP_SHARDS", &text, "a number from 1 to 256"))
        });
        let coalesce = get("RINGSOUP_COALESCE_US").map(|text| {
            let time = text.parse().ok().map(Duration::from_micros).filter(|time| *time <= COALESCE_MAX);
            let wanted = format!("microseconds from 0 to {}", COALESCE_MAX.as_micros());
            time.ok_or_else(|| invalid("RINGSOUP_COALESCE_US", &text, &wanted))
        });
        Ok(Self { count: count.transpose()?, cpus, coalesce: coalesce.transpose()? })
    }
}

fn invalid(name: &str, text: &str, wanted: &str) -> SettingsError {
    SettingsError(format!("invalid value '{text}' for {name} (wanted: {wanted})"))
}

/// `0,2-3` as `[0, 2, 3]`, in the order given, each once.
fn cpu_list(text: &str) -> Option<Vec<usize>> {
    let mut cpus = Vec::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (usize, usize) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
        if first > last || last > CPU_MAX {
            return None;
        }
        for cpu in first..=last {
            if !cpus.contains(&cpu) {
                cpus.push(cpu);
            }
        }
    }
    Some(cpus)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<ShardEnv, SettingsError> {
        let get = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        ShardEnv::read(get, |cpu| cpu < 8)
    }

    #[test]
    fn unset_variables_leave_the_choice_to_the_worker() {
        assert_eq!(read(&[]), Ok(ShardEnv::default()));
    }

    #[test]
    fn good_values_are_taken() {
        let env =
            read(&[("RINGSOUP_SHARDS", "4"), ("RINGSOUP_CPUS", "0,2-3, 2"), ("RINGSOUP_COALESCE_US", "750")]);
        let expected =
            ShardEnv { count: Some(4), cpus: vec![0, 2, 3], coalesce: Some(Duration::from_micros(750)) };
        assert_eq!(env, Ok(expected));
    }

    #[test]
    fn bad_values_are_refused() {
        for (name, value) in [
            ("RINGSOUP_SHARDS", "0"),
            ("RINGSOUP_SHARDS", "257"),
            ("RINGSOUP_SHARDS", "two"),
            ("RINGSOUP_SHARDS", ""),
            ("RINGSOUP_CPUS", ""),
            ("RINGSOUP_CPUS", "3-2"),
            ("RINGSOUP_CPUS", "1,,2"),
            ("RINGSOUP_CPUS", "0-99999999"),
            ("RINGSOUP_CPUS", "8"),
            ("RINGSOUP_COALESCE_US", "-1"),
            ("RINGSOUP_COALESCE_US", "1000000"),
        ] {
            assert!(read(&[(name, value)]).is_err(), "{name}={value}");
        }
    }
}
