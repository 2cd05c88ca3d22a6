//! Which producer of a transport a packet belongs to: by SSRC, else by MID, else by RID (RFC 8843 section 9.2).

use std::borrow::Borrow;
use std::collections::VecDeque;
use std::hash::Hash;

use crate::command::CommandError;
use crate::map::Map;
use crate::producer::Producer;
use crate::reply::RecvRtpHeaderExtensions;
use crate::rtp_parameters::RtpParameters;
use crate::table::Id;
use ringsoup_rtc::rtp::RtpPacket;

/// SSRCs that packets may teach a transport through MID or RID. A sender changes its SSRC when it restarts a track; one
/// that does so more often than this has left the first of them behind.
const LEARNED_SSRCS_MAX: usize = 1_024;

#[derive(Debug, Default)]
pub struct RtpListener {
    by_ssrc: Map<u32, Id<Producer>>,
    by_mid: Map<Box<[u8]>, Id<Producer>>,
    by_rid: Map<Box<[u8]>, Id<Producer>>,
    /// SSRCs in `by_ssrc` that packets taught, oldest first.
    learned: VecDeque<u32>,
}

impl RtpListener {
    /// # Errors
    /// `Error` when an SSRC, the MID or (without MID) a RID is taken; nothing is added then.
    pub fn add(&mut self, producer: Id<Producer>, parameters: &RtpParameters) -> Result<(), CommandError> {
        let added = self.try_add(producer, parameters);
        if added.is_err() {
            self.remove(producer, parameters);
        }
        added
    }

    fn try_add(&mut self, producer: Id<Producer>, parameters: &RtpParameters) -> Result<(), CommandError> {
        for encoding in &parameters.encodings {
            for (ssrc, what) in [(encoding.ssrc, "ssrc"), (encoding.rtx_ssrc, "RTX ssrc")] {
                let Some(ssrc) = ssrc.filter(|&ssrc| ssrc != 0) else { continue };
                if self.by_ssrc.contains_key(&ssrc) {
                    return Err(CommandError::error(format!(
                        "{what} already exists in RTP listener [ssrc:{ssrc}]"
                    )));
                }
                self.by_ssrc.insert(ssrc, producer);
            }
        }
        let mid = parameters.mid.as_deref().filter(|mid| !mid.is_empty());
        if let Some(mid) = mid {
            if self.by_mid.contains_key(mid.as_bytes()) {
                return Err(CommandError::error(format!("MID already exists in RTP listener [mid:{mid}]")));
            }
            self.by_mid.insert(mid.as_bytes().into(), producer);
        }
        for rid in parameters.encodings.iter().filter_map(|encoding| encoding.rid.as_deref()) {
            if rid.is_empty() {
                continue;
            }
            if !self.by_rid.contains_key(rid.as_bytes()) {
                self.by_rid.insert(rid.as_bytes().into(), producer);
            } else if mid.is_none() {
                return Err(CommandError::error(format!(
                    "RID already exists in RTP listener and no MID is given [rid:{rid}]"
                )));
            }
        }
        Ok(())
    }

    /// Forgets a producer that was added with these parameters, and what packets taught of it.
    pub fn remove(&mut self, producer: Id<Producer>, parameters: &RtpParameters) {
        let Self { by_ssrc, by_mid, by_rid, learned } = self;
        for encoding in &parameters.encodings {
            for ssrc in [encoding.ssrc, encoding.rtx_ssrc].into_iter().flatten() {
                forget(by_ssrc, &ssrc, producer);
            }
            if let Some(rid) = &encoding.rid {
                forget(by_rid, rid.as_bytes(), producer);
            }
        }
        if let Some(mid) = &parameters.mid {
            forget(by_mid, mid.as_bytes(), producer);
        }
        learned.retain(|ssrc| {
            forget(by_ssrc, ssrc, producer);
            by_ssrc.contains_key(ssrc)
        });
    }

    pub fn producer_of_ssrc(&self, ssrc: u32) -> Option<Id<Producer>> {
        self.by_ssrc.get(&ssrc).copied()
    }

    /// The producer of a packet; a match by MID or RID is remembered for the SSRC.
    #[inline]
    pub fn producer_of(
        &mut self,
        packet: &RtpPacket<'_>,
        ids: &RecvRtpHeaderExtensions,
    ) -> Option<Id<Producer>> {
        self.producer_of_ssrc(packet.ssrc()).or_else(|| self.learn(packet, ids))
    }

    #[cold]
    fn learn(&mut self, packet: &RtpPacket<'_>, ids: &RecvRtpHeaderExtensions) -> Option<Id<Producer>> {
        let value = |id: Option<u8>| id.and_then(|id| packet.extension(id));
        let producer = match value(ids.mid) {
            Some(mid) => *self.by_mid.get(mid)?,
            None => *self.by_rid.get(value(ids.rid).or_else(|| value(ids.rrid))?)?,
        };
        if self.learned.len() == LEARNED_SSRCS_MAX
            && let Some(oldest) = self.learned.pop_front()
        {
            self.by_ssrc.remove(&oldest);
        }
        self.learned.push_back(packet.ssrc());
        self.by_ssrc.insert(packet.ssrc(), producer);
        Some(producer)
    }

    pub fn ssrcs(&self) -> impl Iterator<Item = (u32, Id<Producer>)> + '_ {
        self.by_ssrc.iter().map(|(&ssrc, &producer)| (ssrc, producer))
    }

    pub fn mids(&self) -> impl Iterator<Item = (String, Id<Producer>)> + '_ {
        self.by_mid.iter().map(|(mid, &producer)| (String::from_utf8_lossy(mid).into_owned(), producer))
    }

    pub fn rids(&self) -> impl Iterator<Item = (String, Id<Producer>)> + '_ {
        self.by_rid.iter().map(|(rid, &producer)| (String::from_utf8_lossy(rid).into_owned(), producer))
    }
}

/// Others' entries stay: what a producer names may be theirs.
fn forget<K, Q>(owners: &mut Map<K, Id<Producer>>, key: &Q, producer: Id<Producer>)
where
    K: Eq + Hash + Borrow<Q>,
    Q: Eq + Hash + ?Sized,
{
    if owners.get(key) == Some(&producer) {
        owners.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_parameters::{h264_with_rtx, opus};
    use ringsoup_rtc::rtp::RtpWriter;

    #[test]
    fn a_taken_ssrc_is_refused_and_leaves_nothing_behind() {
        let mut listener = RtpListener::default();
        listener.add(Id::new(0), &h264_with_rtx(1, 2)).expect("free");
        let error = listener.add(Id::new(1), &h264_with_rtx(3, 2)).expect_err("taken");
        assert_eq!(error.reason, "RTX ssrc already exists in RTP listener [ssrc:2]");
        assert_eq!(listener.producer_of_ssrc(3), None);
        assert_eq!(listener.producer_of_ssrc(2), Some(Id::new(0)));
    }

    #[test]
    fn a_mid_teaches_the_ssrc() {
        let mut listener = RtpListener::default();
        let mut parameters = opus(1);
        parameters.mid = Some("a".into());
        listener.add(Id::new(7), &parameters).expect("free");
        let ids = RecvRtpHeaderExtensions { mid: Some(1), ..RecvRtpHeaderExtensions::default() };
        let first = RtpWriter::new(100, 1, 1, 99).extension(1, b"a").to_vec().expect("fits");
        let second = RtpWriter::new(100, 2, 1, 99).to_vec().expect("fits");
        let parse = |bytes| RtpPacket::parse(bytes).expect("RTP");
        assert_eq!(listener.producer_of(&parse(&second), &ids), None);
        assert_eq!(listener.producer_of(&parse(&first), &ids), Some(Id::new(7)));
        assert_eq!(listener.producer_of(&parse(&second), &ids), Some(Id::new(7)));
    }

    #[test]
    fn who_leaves_takes_its_own_along_and_what_was_learned_of_it() {
        let mut listener = RtpListener::default();
        let (mut one, mut other) = (h264_with_rtx(1, 2), h264_with_rtx(3, 4));
        for (parameters, mid) in [(&mut one, "a"), (&mut other, "b")] {
            parameters.mid = Some(mid.into());
            parameters.encodings[0].rid = Some("r".into());
        }
        listener.add(Id::new(7), &one).expect("free");
        listener.add(Id::new(8), &other).expect("free");
        let ids = RecvRtpHeaderExtensions { mid: Some(1), ..RecvRtpHeaderExtensions::default() };
        for (ssrc, mid) in [(98, "b"), (99, "a")] {
            let packet = RtpWriter::new(100, 1, 1, ssrc).extension(1, mid.as_bytes()).to_vec().expect("fits");
            listener.producer_of(&RtpPacket::parse(&packet).expect("RTP"), &ids).expect("learned");
        }
        listener.remove(Id::new(8), &other);
        let owner = |ssrc| listener.producer_of_ssrc(ssrc).map(Id::index);
        assert_eq!([1, 2, 3, 4, 98, 99].map(owner), [Some(7), Some(7), None, None, None, Some(7)]);
        assert_eq!((listener.mids().count(), listener.rids().count(), listener.learned.len()), (1, 1, 1));
        listener.remove(Id::new(7), &one);
        assert_eq!((listener.ssrcs().count(), listener.mids().count(), listener.rids().count()), (0, 0, 0));
        assert!(listener.learned.is_empty());
    }

    #[test]
    fn learning_is_bounded() {
        let mut listener = RtpListener::default();
        let mut parameters = opus(1);
        parameters.mid = Some("a".into());
        listener.add(Id::new(7), &parameters).expect("free");
        let ids = RecvRtpHeaderExtensions { mid: Some(1), ..RecvRtpHeaderExtensions::default() };
        for ssrc in 0..5_000 {
            let packet = RtpWriter::new(100, 1, 1, 1_000 + ssrc).extension(1, b"a").to_vec().expect("fits");
            let packet = RtpPacket::parse(&packet).expect("RTP");
            assert_eq!(listener.producer_of(&packet, &ids), Some(Id::new(7)));
        }
        assert!(listener.ssrcs().count() <= LEARNED_SSRCS_MAX + 1);
    }
}
