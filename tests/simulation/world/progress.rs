//! Nobody is left alone: who is subscribed, not paused, and changes nothing is shown frames, and soon those of the layers that it
//! prefers.

use std::time::Duration;

use super::World;

/// Frames come again so soon after whatever happened where nothing is lost.
const STALL_MAX: Duration = Duration::from_millis(2_500);
/// Where packets are lost, and key frames and requests for them: less than half of a world.
const LOSSY_STALL_MAX: Duration = Duration::from_millis(5_000);
/// And where none comes again, behind a pipe without RTX: every frame of the lowest layers has to get through by itself.
const UNREPAIRED_STALL_MAX: Duration = Duration::from_millis(8_000);
/// Pictures that pass, where they come seldom, until one of the highest layers is due.
const PICTURES: u32 = 8;
/// And where packets are lost: a receiver asks for a key frame when ten could not be decoded.
const LOSSY_PICTURES: u32 = 24;

impl World {
    pub(super) fn pass_milestone(&mut self) {
        for known in &mut self.subscriptions {
            known.decoded_before = Some(known.receiver.decoded());
        }
    }

    /// Of one subscription, at any time while sources send.
    ///
    /// # Panics
    /// When it has waited too long.
    pub(super) fn check_progress(&mut self, subscription: usize) {
        let known = &self.subscriptions[subscription];
        let publication = &self.publications[known.publication];
        let is_served = !(known.is_closed || known.paused || publication.is_closed || publication.paused);
        if self.now > self.end || !is_served {
            return;
        }
        let is_lossy = self.is_lossy(subscription);
        let (most, pictures) = match (is_lossy, known.receiver.asks) {
            (false, _) => (STALL_MAX, PICTURES),
            (true, true) => (LOSSY_STALL_MAX, LOSSY_PICTURES),
            (true, false) => (UNREPAIRED_STALL_MAX, LOSSY_PICTURES),
        };
        let most = most + self.scenario.pause * pictures;
        let stalled = known.receiver.stalled(self.now);
        assert!(stalled <= most, "{:?}: {} has got no frame for {stalled:?}", self.now, known.consumer);
        let deprived = known.receiver.deprived(self.now);
        let is_met = is_lossy || !publication.sender.source.keeps_layers() || deprived <= most;
        assert!(is_met, "{:?}: {} has not got what it prefers for {deprived:?}", self.now, known.consumer);
    }

    /// Whether anything is lost on its way: media, or what is said about it.
    fn is_lossy(&self, subscription: usize) -> bool {
        let known = &self.subscriptions[subscription];
        let (to, from) =
            (&self.clients[known.client], &self.clients[self.publications[known.publication].client]);
        let crosses = self.routers[to.router].worker != self.routers[from.router].worker;
        let links = [&to.up, &to.down, &from.up, &from.down];
        links.iter().any(|path| path.link.loses()) || (crosses && self.scenario.between_workers.loses())
    }
}
