//! The attacks, their pace, and the figures that each is held to.
//!
//! Paces are scaled to two cores that attacker, worker, senders and receivers share: where a row of the table of threats asks for
//! 500,000 packets a second of an attacker of its own, a thread that sends them takes half a core here, and receiving them another.

use std::str::FromStr;

use clap::ValueEnum;
use serde::Serialize;

/// An attack; its row in the table of threats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    /// A1: ClientHellos from foreign addresses to whoever shakes hands.
    HelloRace,
    /// A2: connectivity checks that name nobody.
    StunUnknown,
    /// A3: connectivity checks that name somebody, without the password.
    StunForged,
    /// A6: RTP, genuine packets among it, from foreign addresses.
    RtpForeign,
    /// A7: SRTP with a bad tag, from the sender's own address.
    SrtpForged,
    /// A8: genuine SRTP once more, from the sender's own address.
    SrtpReplay,
    /// A18: more handshakes than a worker takes on.
    Handshakes,
    /// A20: alerts in the clear, from foreign addresses and from the sender's own.
    Alerts,
    /// A22: random bytes.
    Noise,
    /// A23: TCP connections that say nothing.
    IdleTcp,
}

/// What an attack may cost.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Figures {
    /// Packets, handshakes or connections a second, unless the command line says otherwise.
    pub(crate) pace: f64,
    /// The row's own pace where that is another.
    pub(crate) asked_pace: f64,
    /// What goes back to foreign addresses, of what came from there.
    pub(crate) amplification_max: f64,
    /// What media's p99 may be beyond what it is without the attack, or in pretence if that is more, in ms: the cores are shared.
    pub(crate) p99_ms: f64,
    /// Percent of the media packets on the attacked transport's shard. On others none.
    pub(crate) loss_percent_max: f64,
    pub(crate) growth_bytes_max: u64,
    /// Of the worker for each packet, in ns.
    pub(crate) packet_ns_max: Option<f64>,
    /// The same, beyond what one costs that is dropped by its address.
    pub(crate) extra_ns_max: Option<f64>,
    /// What a handshake's p99 may be beyond what it is without the attack, in ms.
    pub(crate) handshake_ms: Option<f64>,
}

const MIB: u64 = 1 << 20;
/// Log lines a second, of any attack.
pub(super) const LINES_PER_SECOND_MAX: f64 = 1.0;
/// What the worker may still use, in percent of a core, when an attack has been over for [`CALM_WITHIN_S`].
pub(super) const IDLE_CORE_PERCENT_MAX: f64 = 5.0;
pub(super) const CALM_WITHIN_S: f64 = 1.0;
/// A1: honest handshakes a second: a thousand in five seconds.
pub(super) const HONEST_RATE: f64 = 200.0;
/// A23: connections that are opened.
pub(super) const CROWD: usize = 10_000;

/// Checks on a port of a transport's own are answered by its agent, 8 at once and 10 a second, whatever they
/// name.
const FEW_REFUSALS: f64 = 0.001;

/// A shard's receive buffers (docs/decisions/0003), which are resident once a flood has filled them, and stay so. What is kept of
/// strangers beside them is counted (`held_*`) and must be nothing.
const RECEIVE_BUFFERS: u64 = 16 * MIB;

/// Of floods that are to be dropped for a look at the address or the fragment.
const FLOOD: Figures = Figures {
    pace: 100_000.0,
    asked_pace: 500_000.0,
    amplification_max: 0.0,
    p99_ms: 2.0,
    loss_percent_max: 0.0,
    growth_bytes_max: RECEIVE_BUFFERS,
    packet_ns_max: None,
    extra_ns_max: None,
    handshake_ms: None,
};

impl Kind {
    pub(crate) const fn row(self) -> &'static str {
        match self {
            Self::HelloRace => "A1",
            Self::StunUnknown => "A2",
            Self::StunForged => "A3",
            Self::RtpForeign => "A6",
            Self::SrtpForged => "A7",
            Self::SrtpReplay => "A8",
            Self::Handshakes => "A18",
            Self::Alerts => "A20",
            Self::Noise => "A22",
            Self::IdleTcp => "A23",
        }
    }

    pub(crate) fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// `by_server`: on the port of a WebRTC server, where a check that names nobody is answered by nobody.
    pub(crate) const fn figures(self, by_server: bool) -> Figures {
        match self {
            Self::HelloRace => Figures {
                pace: 10_000.0,
                asked_pace: 10_000.0,
                // Transports are made and closed meanwhile: memory is not this row's matter.
                growth_bytes_max: u64::MAX,
                handshake_ms: Some(20.0),
                ..FLOOD
            },
            Self::StunUnknown if by_server => FLOOD,
            Self::StunUnknown => Figures { amplification_max: FEW_REFUSALS, ..FLOOD },
            Self::StunForged => {
                Figures { pace: 40_000.0, asked_pace: 200_000.0, amplification_max: 1.0, ..FLOOD }
            }
            Self::RtpForeign | Self::Alerts => Figures { asked_pace: 100_000.0, ..FLOOD },
            Self::Noise => Figures { asked_pace: 1_000_000.0, ..FLOOD },
            Self::SrtpForged => Figures { asked_pace: 100_000.0, extra_ns_max: Some(600.0), ..FLOOD },
            Self::SrtpReplay => Figures { pace: 20_000.0, asked_pace: 20_000.0, ..FLOOD },
            Self::Handshakes => Figures {
                pace: 2_000.0,
                asked_pace: 2_000.0,
                p99_ms: 5.0,
                growth_bytes_max: u64::MAX,
                ..FLOOD
            },
            Self::IdleTcp => {
                Figures { pace: 2_000.0, asked_pace: 2_000.0, growth_bytes_max: 64 * MIB, ..FLOOD }
            }
        }
    }
}

/// What the command line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Kinds(pub(crate) Vec<Kind>);

impl FromStr for Kinds {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "all" {
            return Ok(Self(Kind::value_variants().to_vec()));
        }
        let one = |name: &str| {
            <Kind as ValueEnum>::from_str(name, false).map_err(|_| {
                let names: Vec<String> = Kind::value_variants().iter().map(|kind| kind.name()).collect();
                format!("{name}: all, or of {}", names.join(", "))
            })
        };
        text.split(',').map(one).collect::<Result<_, _>>().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_named_one_by_one_or_all() {
        assert_eq!("stun-unknown,noise".parse(), Ok(Kinds(vec![Kind::StunUnknown, Kind::Noise])));
        assert_eq!("all".parse::<Kinds>().map(|kinds| kinds.0.len()), Ok(Kind::value_variants().len()));
        assert!("stun-unknown,".parse::<Kinds>().is_err_and(|why| why.contains("idle-tcp")));
    }
}
