//! What another generation of the channel costs: its step in `differences.rs`, and no more than that.

use std::fs;

use crate::workspace;

const DIFFERENCES: &str = "control/src/wire/generation/differences.rs";

/// Lines of the longest step. The SCTP stack of 3.20.0 changed the most; what needs more than that wants another kind of edit.
const STEP_LINES_MAX: usize = 100;

/// Name and lines of each list of edits.
fn steps(source: &str) -> Vec<(String, usize)> {
    let mut steps = Vec::new();
    let mut lines = source.lines();
    while let Some(line) = lines.next() {
        let Some((name, _)) = line.strip_prefix("const ").and_then(|rest| rest.split_once(": &[Edit]"))
        else {
            continue;
        };
        let more = if line.ends_with("];") {
            0
        } else {
            // The last line is "];", or all of a list that is behind the "=".
            1 + lines.by_ref().take_while(|line| !line.ends_with("];")).count()
        };
        steps.push((name.to_owned(), 1 + more));
    }
    steps
}

#[test]
fn a_generation_costs_a_step_of_a_few_lines() {
    let source = fs::read_to_string(workspace().join(DIFFERENCES)).unwrap();
    let steps = steps(&source);
    for (name, lines) in &steps {
        println!("{name}: {lines} lines");
        assert!(*lines <= STEP_LINES_MAX, "{name} has {lines} lines; the limit is {STEP_LINES_MAX}");
    }
    // None was overlooked.
    assert_eq!(steps.len(), source.matches("Step { before").count());
}
