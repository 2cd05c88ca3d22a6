//! An encoder of one stream: pictures of frames in layers, and what each frame truly refers to.

use ringsoup_tests::rng::Rng;

use super::temporal::Pattern;

/// Where spatial layers refer to the one below (W3C webrtc-svc).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum InterLayer {
    /// `L3T3`.
    Always,
    /// `L3T3_KEY`.
    KeyPictures,
    /// `S3T3`.
    Never,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Mode {
    pub(crate) spatial: u8,
    pub(crate) temporal: u8,
    pub(crate) inter_layer: InterLayer,
    pub(crate) pattern: Pattern,
}

impl Mode {
    pub(crate) fn new(spatial: u8, temporal: u8, inter_layer: InterLayer, rng: &mut Rng) -> Self {
        Self { spatial, temporal, inter_layer, pattern: Pattern::random(temporal, rng) }
    }

    /// Whether a frame of a layer above the lowest refers to the one below in its picture.
    pub(crate) fn refers_down(&self, is_key: bool) -> bool {
        match self.inter_layer {
            InterLayer::Always => true,
            InterLayer::KeyPictures => is_key,
            InterLayer::Never => false,
        }
    }
}

/// What was encoded of a picture in one spatial layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    /// Which of its source's streams.
    pub(crate) stream: u8,
    /// Its name. Frames count on by one, those of all streams together.
    pub(crate) number: u32,
    pub(crate) picture: u32,
    /// How many pictures ago the pattern began.
    pub(crate) step: usize,
    pub(crate) spatial: u8,
    pub(crate) temporal: u8,
    pub(crate) is_key: bool,
    /// Earlier frames of its spatial layer, with the picture they are of.
    pub(crate) earlier: Vec<(u32, u32)>,
    /// The frame below in the same picture.
    pub(crate) below: Option<u32>,
    /// The highest of its picture.
    pub(crate) is_top: bool,
}

impl Frame {
    pub(crate) fn references(&self) -> impl Iterator<Item = u32> {
        self.earlier.iter().map(|(frame, _)| *frame).chain(self.below)
    }
}

#[derive(Debug)]
pub(crate) struct Encoder {
    pub(crate) mode: Mode,
    stream: u8,
    /// Spatial layers that are sent now.
    active: u8,
    wanted: u8,
    wants_key: bool,
    step: usize,
    next_picture: u32,
    /// By spatial and temporal layer.
    newest: Vec<Vec<Option<(u32, u32)>>>,
}

impl Encoder {
    pub(crate) fn new(mode: Mode, stream: u8) -> Self {
        Self {
            mode,
            stream,
            active: mode.spatial,
            wanted: mode.spatial,
            wants_key: true,
            step: 0,
            next_picture: 0,
            newest: vec![vec![None; mode.temporal.into()]; mode.spatial.into()],
        }
    }

    pub(crate) fn want_key(&mut self) {
        self.wants_key = true;
    }

    /// Spatial layers to be sent from the next base picture on; what depends on no others needs a key picture to appear.
    pub(crate) fn set_layers(&mut self, count: u8) {
        self.wanted = count.clamp(1, self.mode.spatial);
    }

    pub(crate) fn stream(&self) -> u8 {
        self.stream
    }

    pub(crate) fn active(&self) -> u8 {
        self.active
    }

    /// The next picture, from its lowest frame on. Frames are numbered by the sender of all streams.
    pub(crate) fn picture(&mut self, next_frame: &mut u32) -> Vec<Frame> {
        let begins_pattern = self.step.is_multiple_of(self.mode.pattern.0.len());
        if self.wanted < self.active && begins_pattern {
            self.active = self.wanted;
        } else if self.wanted > self.active && begins_pattern {
            self.wants_key |= self.mode.inter_layer != InterLayer::Always;
            self.active = self.wanted;
        }
        let is_key = std::mem::take(&mut self.wants_key);
        if is_key {
            self.active = self.wanted;
            self.step = 0;
            self.newest.iter_mut().for_each(|layers| layers.fill(None));
        }
        for stopped in &mut self.newest[usize::from(self.active)..] {
            stopped.fill(None);
        }
        let frames = (0..self.active).map(|spatial| self.frame(spatial, is_key, next_frame)).collect();
        self.step += 1;
        self.next_picture += 1;
        frames
    }

    fn frame(&mut self, spatial: u8, is_key: bool, next_frame: &mut u32) -> Frame {
        let place = self.mode.pattern.at(self.step);
        let number = *next_frame;
        *next_frame += 1;
        let newest = &mut self.newest[usize::from(spatial)];
        let earlier = place.refers_to.iter().filter_map(|layer| newest[usize::from(*layer)]).collect();
        newest[usize::from(place.layer)] = Some((number, self.next_picture));
        Frame {
            stream: self.stream,
            number,
            picture: self.next_picture,
            step: self.step,
            spatial,
            temporal: place.layer,
            is_key,
            earlier,
            below: (spatial > 0 && self.mode.refers_down(is_key)).then(|| number - 1),
            is_top: spatial + 1 == self.active,
        }
    }
}

#[test]
fn frames_refer_to_their_own_layer_and_the_one_below() {
    let mut rng = Rng::new(1);
    let mut next;
    for (inter_layer, below) in
        [(InterLayer::Always, true), (InterLayer::KeyPictures, false), (InterLayer::Never, false)]
    {
        let mut encoder = Encoder::new(Mode::new(3, 1, inter_layer, &mut rng), 0);
        next = 0;
        let key = encoder.picture(&mut next);
        assert_eq!(key[2].below.is_some(), inter_layer != InterLayer::Never);
        assert!(key.iter().all(|frame| frame.is_key && frame.earlier.is_empty()));
        let delta = encoder.picture(&mut next);
        assert_eq!(delta[2].earlier, [(2, 0)]);
        assert_eq!((delta[0].below, delta[2].below.is_some()), (None, below));
    }
}

#[test]
fn a_layer_that_comes_back_refers_to_nothing_from_before() {
    let mut rng = Rng::new(1);
    let mut next = 0;
    let mut encoder = Encoder::new(Mode::new(2, 1, InterLayer::Always, &mut rng), 0);
    encoder.picture(&mut next);
    encoder.set_layers(1);
    assert_eq!(encoder.picture(&mut next).len(), 1);
    encoder.set_layers(2);
    let back = encoder.picture(&mut next);
    assert!(back[1].is_top && back[1].earlier.is_empty() && back[1].below.is_some() && !back[1].is_key);
    let mut encoder = Encoder::new(Mode::new(2, 1, InterLayer::KeyPictures, &mut rng), 0);
    encoder.set_layers(1);
    encoder.picture(&mut next);
    encoder.set_layers(2);
    assert!(encoder.picture(&mut next)[1].is_key);
}
