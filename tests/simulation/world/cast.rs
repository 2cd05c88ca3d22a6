//! What is published: every kind of media that there is a source for.

use ringsoup_rtc::time::Time;
use ringsoup_tests::rng::Rng;

use crate::media::{Source, Speech};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Media {
    Speech,
}

impl Media {
    pub(crate) const ALL: [Self; 1] = [Self::Speech];

    /// Its SSRCs are from `first_ssrc` on, its names in the router from `mapped_ssrc` on.
    pub(super) fn source(
        self,
        first_ssrc: u32,
        mapped_ssrc: u32,
        now: Time,
        rng: &mut Rng,
    ) -> Box<dyn Source> {
        match self {
            Self::Speech => Box::new(Speech::new(first_ssrc, mapped_ssrc, now, rng)),
        }
    }
}
