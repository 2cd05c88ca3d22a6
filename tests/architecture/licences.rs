//! Every crate we are built from, or test with, comes under a licence that deny.toml allows.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;

use crate::workspace;

/// deny.toml's lists.
struct Policy {
    allowed: BTreeSet<String>,
    /// By crate.
    exceptions: BTreeMap<String, BTreeSet<String>>,
}

fn policy() -> Policy {
    let deny: toml::Table = fs::read_to_string(workspace().join("deny.toml")).unwrap().parse().unwrap();
    let strings = |value: &toml::Value| -> BTreeSet<String> {
        value.as_array().unwrap().iter().map(|item| item.as_str().unwrap().to_owned()).collect()
    };
    let licences = &deny["licenses"];
    let exceptions = licences["exceptions"].as_array().unwrap();
    Policy {
        allowed: strings(&licences["allow"]),
        exceptions: exceptions
            .iter()
            .map(|exception| (exception["crate"].as_str().unwrap().to_owned(), strings(&exception["allow"])))
            .collect(),
    }
}

/// Whether an SPDX expression can be met with licences that `allowed` accepts. A slash is the old way to write OR.
///
/// ```text
/// any  = all { OR all }
/// all  = one { AND one }
/// one  = "(" any ")" | ID [ WITH ID ]
/// ```
struct Expression<'a, F> {
    words: std::iter::Peekable<std::vec::IntoIter<String>>,
    allowed: &'a F,
}

impl<'a, F: Fn(&str) -> bool> Expression<'a, F> {
    fn is_met(text: &str, allowed: &'a F) -> bool {
        let spaced = text.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
        let words: Vec<String> = spaced.split_whitespace().map(str::to_owned).collect();
        let mut expression = Self { words: words.into_iter().peekable(), allowed };
        let met = expression.any();
        assert!(expression.words.next().is_none(), "not an SPDX expression: {text}");
        met
    }

    fn takes(&mut self, word: &str) -> bool {
        self.words.next_if(|next| next == word).is_some()
    }

    fn any(&mut self) -> bool {
        let mut met = self.all();
        while self.takes("OR") {
            met |= self.all();
        }
        met
    }

    fn all(&mut self) -> bool {
        let mut met = self.one();
        while self.takes("AND") {
            met &= self.one();
        }
        met
    }

    fn one(&mut self) -> bool {
        if self.takes("(") {
            let met = self.any();
            assert!(self.takes(")"), "an open parenthesis");
            return met;
        }
        let mut licence = self.words.next().expect("a licence");
        if self.takes("WITH") {
            licence = format!("{licence} WITH {}", self.words.next().expect("an exception"));
        }
        // "or later" includes the version itself.
        (self.allowed)(licence.trim_end_matches('+'))
    }
}

#[test]
fn expressions_are_read_as_spdx_says() {
    let allowed = |licence: &str| matches!(licence, "MIT" | "ISC" | "Apache-2.0 WITH LLVM-exception");
    for (text, met) in [
        ("MIT", true),
        ("GPL-3.0", false),
        ("GPL-3.0 OR MIT", true),
        ("GPL-3.0/MIT", true),
        ("MIT AND GPL-3.0", false),
        ("ISC AND (Apache-2.0 OR MIT)", true),
        ("ISC AND (Apache-2.0 OR GPL-3.0)", false),
        ("Apache-2.0 WITH LLVM-exception", true),
        ("MIT+", true),
    ] {
        assert_eq!(Expression::is_met(text, &allowed), met, "{text}");
    }
}

#[test]
fn every_licence_is_allowed() {
    let policy = policy();
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .current_dir(workspace())
        .args(["metadata", "--format-version=1", "--filter-platform=x86_64-unknown-linux-gnu"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    for package in metadata["packages"].as_array().unwrap() {
        let name = package["name"].as_str().unwrap();
        let licence = package["license"].as_str().unwrap_or_else(|| panic!("{name} names no licence"));
        let allowed = |licence: &str| {
            policy.allowed.contains(licence)
                || policy.exceptions.get(name).is_some_and(|extra| extra.contains(licence))
        };
        assert!(Expression::is_met(licence, &allowed), "{name} comes under {licence}; see deny.toml");
    }
}
