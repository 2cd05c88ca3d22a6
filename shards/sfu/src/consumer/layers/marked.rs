//! Layers of frames that are marked ([`Marking`]): when a packet of them leads to other layers.

use std::cmp::Ordering;

use ringsoup_rtc::codec::marking::Marking;

use crate::consumer::layers::LayerPair;

/// The temporal layer that is sent from this packet on. Up with a frame that needs nothing that was left out; where frames do
/// not say so, one layer at a time. Down with the first packet that stays.
pub(super) fn next_temporal(marking: &Marking, current: u8, wanted: u8) -> u8 {
    let own = marking.temporal;
    let opens = marking.is_sync.unwrap_or_else(|| own == current.saturating_add(1));
    if own > current && own <= wanted && opens {
        own
    } else if wanted < current && own <= wanted {
        wanted
    } else {
        current
    }
}

/// The layers that are sent from this packet on; `None` before the first key frame.
pub(super) fn next_layers(
    marking: &Marking,
    is_key_frame: bool,
    is_k_svc: bool,
    current: Option<LayerPair>,
    target: LayerPair,
) -> Option<LayerPair> {
    let Some(current) = current else {
        return is_key_frame.then_some(LayerPair { temporal: 0, ..target });
    };
    let switches = match target.spatial.cmp(&current.spatial) {
        Ordering::Greater => is_key_frame,
        Ordering::Less if is_k_svc => is_key_frame,
        // Layers below do not depend on those above: down after any whole frame, or where a picture begins with its lowest.
        Ordering::Less if marking.is_sync.is_none() => marking.spatial == 0,
        Ordering::Less => marking.spatial == target.spatial && marking.ends_frame,
        Ordering::Equal => false,
    };
    let spatial = if switches { target.spatial } else { current.spatial };
    Some(LayerPair { spatial, temporal: next_temporal(marking, current.temporal, target.temporal) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marking(spatial: u8, temporal: u8, is_sync: Option<bool>) -> Marking {
        Marking { spatial, temporal, ends_frame: true, is_sync, begins_key_frame: false }
    }

    #[test]
    fn up_with_what_needs_nothing_that_was_left_out() {
        let next = |temporal, is_sync, current, wanted| {
            next_temporal(&marking(0, temporal, is_sync), current, wanted)
        };
        assert_eq!(next(2, Some(true), 0, 2), 2);
        assert_eq!(next(2, Some(false), 0, 2), 0);
        assert_eq!(next(2, Some(true), 0, 1), 0, "more than is wanted");
        assert_eq!(
            (next(2, None, 0, 2), next(1, None, 0, 2), next(2, None, 1, 2)),
            (0, 1, 2),
            "step by step"
        );
    }

    #[test]
    fn down_with_what_stays() {
        assert_eq!(next_temporal(&marking(0, 2, Some(true)), 2, 0), 2, "its frame is finished");
        assert_eq!(next_temporal(&marking(0, 0, Some(true)), 2, 0), 0);
    }

    #[test]
    fn spatial_layers_go_up_with_key_frames_and_down_after_whole_frames() {
        let pair = |spatial, temporal| LayerPair { spatial, temporal };
        let low = marking(0, 0, Some(false));
        assert_eq!(next_layers(&low, false, false, None, pair(2, 2)), None);
        assert_eq!(next_layers(&low, true, false, None, pair(2, 2)), Some(pair(2, 0)));
        let from = |spatial| Some(pair(spatial, 0));
        assert_eq!(next_layers(&low, false, false, from(0), pair(1, 0)), from(0));
        assert_eq!(next_layers(&low, true, false, from(0), pair(1, 0)), from(1));
        assert_eq!(next_layers(&low, false, false, from(1), pair(0, 0)), from(0));
        assert_eq!(next_layers(&low, false, true, from(1), pair(0, 0)), from(1), "K-SVC waits for one");
        let partial = Marking { ends_frame: false, ..low };
        assert_eq!(next_layers(&partial, false, false, from(1), pair(0, 0)), from(1));
        let untold = Marking { is_sync: None, ..partial };
        assert_eq!(next_layers(&untold, false, false, from(1), pair(0, 0)), from(0));
    }
}
