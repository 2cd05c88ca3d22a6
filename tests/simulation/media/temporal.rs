//! Temporal layers: which pictures are of which layer, and what they refer to.

use ringsoup_tests::rng::Rng;

/// One place in a pattern.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Step {
    pub(crate) layer: u8,
    /// Refers to the newest picture of each of these layers.
    pub(crate) refers_to: &'static [u8],
}

const fn step(layer: u8, refers_to: &'static [u8]) -> Step {
    Step { layer, refers_to }
}

const ONE: &[Step] = &[step(0, &[0])];
const TWO: &[Step] = &[step(0, &[0]), step(1, &[0])];
/// The middle layer goes on from itself now and then.
const TWO_LONG: &[Step] = &[step(0, &[0]), step(1, &[0]), step(0, &[0]), step(1, &[0, 1])];
const THREE: &[Step] = &[step(0, &[0]), step(2, &[0]), step(1, &[0]), step(2, &[1])];
const THREE_LONG: &[Step] = &[
    step(0, &[0]),
    step(2, &[0]),
    step(1, &[0]),
    step(2, &[0, 1]),
    step(0, &[0]),
    step(2, &[0, 2]),
    step(1, &[0, 1]),
    step(2, &[0, 1, 2]),
];

/// A pattern repeats; a key frame begins it anew.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pattern(pub(crate) &'static [Step]);

impl Pattern {
    pub(crate) fn random(layers: u8, rng: &mut Rng) -> Self {
        let is_long = rng.below(2) == 0;
        Self(match (layers, is_long) {
            (1, _) => ONE,
            (2, false) => TWO,
            (2, true) => TWO_LONG,
            (3, false) => THREE,
            (3, true) => THREE_LONG,
            _ => panic!("{layers} temporal layers"),
        })
    }

    pub(crate) fn at(self, picture: usize) -> Step {
        self.0[picture % self.0.len()]
    }

    /// What a picture refers to, by how many pictures that lies back, when all were sent.
    pub(crate) fn differences(self, picture: usize) -> Vec<usize> {
        let newest = |layer: u8| (1..=picture).find(|back| self.at(picture - back).layer == layer);
        self.at(picture).refers_to.iter().filter_map(|layer| newest(*layer)).collect()
    }

    /// The picture refers to the base layer only (RFC 7741 section 4.2, Y).
    pub(crate) fn is_layer_sync(self, picture: usize) -> bool {
        let step = self.at(picture);
        step.layer > 0 && step.refers_to == [0]
    }

    /// No picture after it of a higher layer refers to one of a higher layer before it (RFC 9628 section 4.2, U).
    pub(crate) fn is_switching_up_point(self, picture: usize) -> bool {
        let own = self.at(picture).layer;
        // Seen from the second round on, where every layer has been.
        let picture = picture % self.0.len() + 2 * self.0.len();
        let depends_on_before = |later: usize| {
            let is_before = |back: &usize| later - back < picture && self.at(later - back).layer > own;
            self.at(later).layer > own && self.differences(later).iter().any(is_before)
        };
        !(picture + 1..=picture + 2 * self.0.len()).any(depends_on_before)
    }
}

#[test]
fn layers_refer_to_what_their_patterns_say() {
    let short = Pattern(THREE);
    assert_eq!(
        (4..8).map(|at| short.differences(at)).collect::<Vec<_>>(),
        [vec![4], vec![1], vec![2], vec![1]]
    );
    assert!((0..4).all(|at| short.is_switching_up_point(at)));
    assert_eq!((0..4).map(|at| short.is_layer_sync(at)).collect::<Vec<_>>(), [false, true, true, false]);
    let long = Pattern(THREE_LONG);
    assert_eq!(long.differences(15), [3, 1, 2]);
    let points: Vec<_> = (0..8).map(|at| long.is_switching_up_point(at)).collect();
    assert_eq!(points, [true, true, true, true, false, true, false, true]);
    // No picture refers to one of a higher layer, or a lower one could not be left out.
    for pattern in [ONE, TWO, TWO_LONG, THREE, THREE_LONG] {
        assert!(pattern.iter().all(|step| step.refers_to.iter().all(|layer| *layer <= step.layer)));
    }
}
