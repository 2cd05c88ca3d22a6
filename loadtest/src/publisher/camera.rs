//! A synthetic camera of any codec.

use super::encoder::{Encoder, Labels, Written};
use super::h264::H264;
use super::vp8::Vp8;
use super::vp9::Vp9;
use crate::rng::Rng;
use crate::scenario::{Codec, Video};

#[derive(Debug)]
pub(crate) enum Camera {
    H264(H264),
    Vp8(Vp8),
    Vp9(Vp9),
}

impl Camera {
    pub(crate) fn new(video: Video, labels: Labels, rng: Rng) -> Self {
        match video.codec {
            Codec::H264 => Self::H264(H264::new(video, labels, rng)),
            Codec::Vp8 => Self::Vp8(Vp8::new(video, labels, rng)),
            Codec::Vp9 => Self::Vp9(Vp9::new(video, labels, rng)),
        }
    }

    pub(crate) const fn encoder(&self) -> &Encoder {
        match self {
            Self::H264(camera) => &camera.encoder,
            Self::Vp8(camera) => &camera.encoder,
            Self::Vp9(camera) => &camera.encoder,
        }
    }

    pub(crate) const fn encoder_mut(&mut self) -> &mut Encoder {
        match self {
            Self::H264(camera) => &mut camera.encoder,
            Self::Vp8(camera) => &mut camera.encoder,
            Self::Vp9(camera) => &mut camera.encoder,
        }
    }

    /// Plans the next frame; how many packets it will be.
    pub(crate) fn start_frame(&mut self, elapsed_ns: u64, scale: f64) -> usize {
        match self {
            Self::H264(camera) => camera.start_frame(elapsed_ns, scale),
            Self::Vp8(camera) => camera.start_frame(elapsed_ns, scale),
            Self::Vp9(camera) => camera.start_frame(elapsed_ns, scale),
        }
    }

    /// Packets of the current frame still to be written.
    pub(crate) fn packets_left(&self) -> usize {
        match self {
            Self::H264(camera) => camera.packets_left(),
            Self::Vp8(camera) => camera.packets_left(),
            Self::Vp9(camera) => camera.packets_left(),
        }
    }

    /// Writes the frame's next packet, stamped with `now_ns`; `None` when the frame is finished.
    pub(crate) fn write_packet(&mut self, now_ns: u64, out: &mut [u8]) -> Option<Written> {
        match self {
            Self::H264(camera) => camera.write_packet(now_ns, out),
            Self::Vp8(camera) => camera.write_packet(now_ns, out),
            Self::Vp9(camera) => camera.write_packet(now_ns, out),
        }
    }
}
