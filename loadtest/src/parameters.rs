//! The RTP parameters a controller of 3.27.1 would send for a router of Opus and a video codec.
//!
//! The library builds them in steps: the producer's own parameters, a mapping onto the router's payload
//! types and an SSRC of the router's, and from these the consumable and each consumer's parameters.

use ringsoup_fbs::fbs::rtp_parameters::{
    CodecMapping, CodecMappingArgs, EncodingMapping, EncodingMappingArgs, Integer32, Integer32Args,
    MediaKind, Parameter, ParameterArgs, RtcpFeedback, RtcpFeedbackArgs, RtcpParameters, RtcpParametersArgs,
    RtpCodecParameters, RtpCodecParametersArgs, RtpEncodingParameters, RtpEncodingParametersArgs,
    RtpHeaderExtensionParameters, RtpHeaderExtensionParametersArgs, RtpHeaderExtensionUri, RtpMapping,
    RtpMappingArgs, RtpParameters, RtpParametersArgs, Rtx, RtxArgs, String as TextParameter, StringArgs,
    Value,
};
use ringsoup_fbs::flatbuffers::{FlatBufferBuilder, ForwardsUOffset, Vector, WIPOffset};

use crate::payload::Kind;
use crate::publisher::Rid;
use crate::scenario::Svc;

/// Payload types our publishers use; the worker maps them onto the router's.
pub(crate) const PUBLISHED_OPUS: u8 = 111;
pub(crate) const PUBLISHED_VIDEO: u8 = 112;
pub(crate) const PUBLISHED_RTX: u8 = 113;
/// What the library gives the first three codecs of a router: Opus, a video codec and its RTX.
const ROUTER_OPUS: u8 = 100;
const ROUTER_VIDEO: u8 = 101;
const ROUTER_RTX: u8 = 102;
/// The publishers' id of the audio level extension, which the worker maps onto the router's.
pub(crate) const PUBLISHED_LEVEL_ID: u8 = 2;
/// Of streams that are named in their packets; browsers use these ids.
pub(crate) const PUBLISHED_MID_ID: u8 = 4;
pub(crate) const PUBLISHED_RID_ID: u8 = 10;
pub(crate) const PUBLISHED_REPAIRED_RID_ID: u8 = 11;
/// The m-line of the video of each publisher.
pub(crate) const PUBLISHED_MID: &str = "0";
/// Ids of header extensions inside the router since 3.19.6.
const ROUTER_MID_ID: u8 = 1;
const ROUTER_LEVEL_ID: u8 = 6;

/// NACK holds without RTX too: a peer without that codec is sent the same SSRC again.
const VIDEO_FEEDBACK: [(&str, &str); 3] = [("nack", ""), ("nack", "pli"), ("ccm", "fir")];

type Encodings<'a> = WIPOffset<Vector<'a, ForwardsUOffset<RtpEncodingParameters<'a>>>>;

/// One published track, as both sides name it.
#[derive(Clone, Debug)]
pub(crate) struct Track {
    pub(crate) kind: Kind,
    /// Several where the same picture is sent in several sizes, the smallest first.
    pub(crate) encodings: Vec<Encoding>,
    /// Of each encoding.
    pub(crate) temporal_layers: u8,
    /// One stream in layers.
    pub(crate) svc: Option<Svc>,
    pub(crate) cname: String,
}

/// One stream of a track.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Encoding {
    pub(crate) ssrc: u32,
    pub(crate) rtx_ssrc: Option<u32>,
    /// Named by this in each packet; the SSRCs are told to nobody.
    pub(crate) rid: Option<Rid>,
    /// The SSRC the router knows it by.
    pub(crate) mapped_ssrc: u32,
}

impl Track {
    pub(crate) fn media_kind(&self) -> MediaKind {
        if self.kind.is_video() { MediaKind::VIDEO } else { MediaKind::AUDIO }
    }

    pub(crate) fn has_rtx(&self) -> bool {
        self.encodings.iter().any(|encoding| encoding.rtx_ssrc.is_some())
    }

    /// In several sizes: its consumers are simulcast consumers.
    pub(crate) fn is_simulcast(&self) -> bool {
        self.encodings.len() > 1
    }

    /// Its consumers get some of several layers.
    pub(crate) fn is_layered(&self) -> bool {
        self.is_simulcast() || self.svc.is_some()
    }

    fn has_rids(&self) -> bool {
        self.encodings.iter().any(|encoding| encoding.rid.is_some())
    }

    /// What `consume()` is told of an encoding, or of all of them: L3T1 is three sizes.
    fn scalability_mode(&self, spatial_layers: usize) -> Option<String> {
        if let Some(svc) = self.svc {
            return Some(svc.mode().to_owned());
        }
        self.is_simulcast().then(|| format!("L{spatial_layers}T{}", self.temporal_layers))
    }

    /// What the producer is created with.
    pub(crate) fn producer_parameters<'a>(
        &self,
        builder: &mut FlatBufferBuilder<'a>,
    ) -> WIPOffset<RtpParameters<'a>> {
        let extensions: &[_] = match self.kind {
            Kind::Opus => &[(RtpHeaderExtensionUri::SsrcAudioLevel, PUBLISHED_LEVEL_ID)],
            _ if self.has_rids() => &[
                (RtpHeaderExtensionUri::Mid, PUBLISHED_MID_ID),
                (RtpHeaderExtensionUri::RtpStreamId, PUBLISHED_RID_ID),
                (RtpHeaderExtensionUri::RepairRtpStreamId, PUBLISHED_REPAIRED_RID_ID),
            ],
            _ => &[],
        };
        let payload_types = match self.kind {
            Kind::Opus => (PUBLISHED_OPUS, PUBLISHED_RTX),
            _ => (PUBLISHED_VIDEO, PUBLISHED_RTX),
        };
        let encodings = self.encodings(builder, |encoding| match encoding.rid {
            Some(rid) => Names { rid: Some(rid), ..Names::default() },
            None => Names { ssrc: Some(encoding.ssrc), rtx_ssrc: encoding.rtx_ssrc, rid: None },
        });
        self.parameters(
            builder,
            payload_types,
            extensions,
            encodings,
            self.has_rids().then_some(PUBLISHED_MID),
        )
    }

    /// Payload types and SSRC of the producer onto the router's.
    pub(crate) fn mapping<'a>(&self, builder: &mut FlatBufferBuilder<'a>) -> WIPOffset<RtpMapping<'a>> {
        let pairs: &[(u8, u8)] = match (self.kind, self.has_rtx()) {
            (Kind::Opus, _) => &[(PUBLISHED_OPUS, ROUTER_OPUS)],
            (_, false) => &[(PUBLISHED_VIDEO, ROUTER_VIDEO)],
            (_, true) => &[(PUBLISHED_VIDEO, ROUTER_VIDEO), (PUBLISHED_RTX, ROUTER_RTX)],
        };
        let codecs: Vec<_> = pairs
            .iter()
            .map(|(payload_type, mapped_payload_type)| {
                let args = CodecMappingArgs {
                    payload_type: *payload_type,
                    mapped_payload_type: *mapped_payload_type,
                };
                CodecMapping::create(builder, &args)
            })
            .collect();
        let codecs = builder.create_vector(&codecs);
        let encodings = self.encodings.iter().map(|encoding| {
            let rid = encoding.rid.map(|rid| builder.create_string(rid.name()));
            let args = EncodingMappingArgs {
                rid,
                ssrc: rid.is_none().then_some(encoding.ssrc),
                mapped_ssrc: encoding.mapped_ssrc,
            };
            EncodingMapping::create(builder, &args)
        });
        let encodings: Vec<_> = encodings.collect();
        let encodings = builder.create_vector(&encodings);
        RtpMapping::create(builder, &RtpMappingArgs { codecs: Some(codecs), encodings: Some(encodings) })
    }

    /// The producer's encodings as consumers are told of them.
    pub(crate) fn consumable_encodings<'a>(&self, builder: &mut FlatBufferBuilder<'a>) -> Encodings<'a> {
        self.encodings(builder, |encoding| Names { ssrc: Some(encoding.mapped_ssrc), ..Names::default() })
    }

    /// What a consumer of this track that receives it as `ssrc` (and `rtx_ssrc`) is created with.
    pub(crate) fn consumer_parameters<'a>(
        &self,
        builder: &mut FlatBufferBuilder<'a>,
        mid: &str,
        ssrc: u32,
        rtx_ssrc: Option<u32>,
    ) -> WIPOffset<RtpParameters<'a>> {
        let extensions: &[_] = match self.kind {
            Kind::Opus => &[
                (RtpHeaderExtensionUri::Mid, ROUTER_MID_ID),
                (RtpHeaderExtensionUri::SsrcAudioLevel, ROUTER_LEVEL_ID),
            ],
            _ => &[(RtpHeaderExtensionUri::Mid, ROUTER_MID_ID)],
        };
        let payload_types = match self.kind {
            Kind::Opus => (ROUTER_OPUS, ROUTER_RTX),
            _ => (ROUTER_VIDEO, ROUTER_RTX),
        };
        let mode = self.scalability_mode(self.encodings.len());
        let names = Names { ssrc: Some(ssrc), rtx_ssrc, rid: None };
        let encoding = encoding(builder, names, false, mode.as_deref());
        let encodings = builder.create_vector(&[encoding]);
        self.parameters(builder, payload_types, extensions, encodings, Some(mid))
    }

    /// The producer's encodings, by the names that `names` takes of each.
    fn encodings<'a>(
        &self,
        builder: &mut FlatBufferBuilder<'a>,
        names: impl Fn(&Encoding) -> Names,
    ) -> Encodings<'a> {
        let (mode, dtx) = (self.scalability_mode(1), self.kind == Kind::Opus);
        let encodings =
            self.encodings.iter().map(|each| encoding(builder, names(each), dtx, mode.as_deref()));
        let encodings: Vec<_> = encodings.collect();
        builder.create_vector(&encodings)
    }

    fn parameters<'a>(
        &self,
        builder: &mut FlatBufferBuilder<'a>,
        (payload_type, rtx_payload_type): (u8, u8),
        extensions: &[(RtpHeaderExtensionUri, u8)],
        encodings: Encodings<'a>,
        mid: Option<&str>,
    ) -> WIPOffset<RtpParameters<'a>> {
        let mut codecs = vec![match self.kind {
            Kind::H264 => h264(builder, payload_type),
            Kind::Vp8 => codec(builder, "video/VP8", payload_type, 90_000, None, &[], &VIDEO_FEEDBACK),
            Kind::Vp9 => vp9(builder, payload_type),
            Kind::Opus => opus(builder, payload_type),
        }];
        if self.has_rtx() {
            codecs.push(rtx(builder, rtx_payload_type, payload_type));
        }
        let codecs = builder.create_vector(&codecs);
        let extensions: Vec<_> = extensions
            .iter()
            .map(|(uri, id)| {
                let args = RtpHeaderExtensionParametersArgs { uri: *uri, id: *id, ..Default::default() };
                RtpHeaderExtensionParameters::create(builder, &args)
            })
            .collect();
        let header_extensions = builder.create_vector(&extensions);
        let cname = builder.create_string(&self.cname);
        let rtcp =
            RtcpParameters::create(builder, &RtcpParametersArgs { cname: Some(cname), reduced_size: true });
        let mid = mid.map(|mid| builder.create_string(mid));
        RtpParameters::create(
            builder,
            &RtpParametersArgs {
                mid,
                codecs: Some(codecs),
                header_extensions: Some(header_extensions),
                encodings: Some(encodings),
                rtcp: Some(rtcp),
                msid: None,
            },
        )
    }
}

/// By what an encoding is known.
#[derive(Clone, Copy, Debug, Default)]
struct Names {
    ssrc: Option<u32>,
    rtx_ssrc: Option<u32>,
    rid: Option<Rid>,
}

fn encoding<'a>(
    builder: &mut FlatBufferBuilder<'a>,
    names: Names,
    dtx: bool,
    scalability_mode: Option<&str>,
) -> WIPOffset<RtpEncodingParameters<'a>> {
    let rtx = names.rtx_ssrc.map(|ssrc| Rtx::create(builder, &RtxArgs { ssrc }));
    let scalability_mode = scalability_mode.map(|mode| builder.create_string(mode));
    let rid = names.rid.map(|rid| builder.create_string(rid.name()));
    let args =
        RtpEncodingParametersArgs { ssrc: names.ssrc, rid, rtx, dtx, scalability_mode, ..Default::default() };
    RtpEncodingParameters::create(builder, &args)
}

fn h264<'a>(builder: &mut FlatBufferBuilder<'a>, payload_type: u8) -> WIPOffset<RtpCodecParameters<'a>> {
    let parameters = [
        number(builder, "packetization-mode", 1),
        text(builder, "profile-level-id", "42e01f"),
        number(builder, "level-asymmetry-allowed", 1),
    ];
    codec(builder, "video/H264", payload_type, 90_000, None, &parameters, &VIDEO_FEEDBACK)
}

fn vp9<'a>(builder: &mut FlatBufferBuilder<'a>, payload_type: u8) -> WIPOffset<RtpCodecParameters<'a>> {
    let parameters = [number(builder, "profile-id", 0)];
    codec(builder, "video/VP9", payload_type, 90_000, None, &parameters, &VIDEO_FEEDBACK)
}

fn opus<'a>(builder: &mut FlatBufferBuilder<'a>, payload_type: u8) -> WIPOffset<RtpCodecParameters<'a>> {
    let parameters = [number(builder, "useinbandfec", 1), number(builder, "usedtx", 1)];
    codec(builder, "audio/opus", payload_type, 48_000, Some(2), &parameters, &[])
}

fn rtx<'a>(
    builder: &mut FlatBufferBuilder<'a>,
    payload_type: u8,
    associated: u8,
) -> WIPOffset<RtpCodecParameters<'a>> {
    let parameters = [number(builder, "apt", i32::from(associated))];
    codec(builder, "video/rtx", payload_type, 90_000, None, &parameters, &[])
}

fn codec<'a>(
    builder: &mut FlatBufferBuilder<'a>,
    mime_type: &str,
    payload_type: u8,
    clock_rate: u32,
    channels: Option<u8>,
    parameters: &[WIPOffset<Parameter<'a>>],
    feedback: &[(&str, &str)],
) -> WIPOffset<RtpCodecParameters<'a>> {
    let mime_type = builder.create_string(mime_type);
    let parameters = builder.create_vector(parameters);
    let feedback: Vec<_> = feedback
        .iter()
        .map(|(kind, parameter)| {
            let kind = builder.create_string(kind);
            let parameter = builder.create_string(parameter);
            RtcpFeedback::create(builder, &RtcpFeedbackArgs { type_: Some(kind), parameter: Some(parameter) })
        })
        .collect();
    let rtcp_feedback = builder.create_vector(&feedback);
    RtpCodecParameters::create(
        builder,
        &RtpCodecParametersArgs {
            mime_type: Some(mime_type),
            payload_type,
            clock_rate,
            channels,
            parameters: Some(parameters),
            rtcp_feedback: Some(rtcp_feedback),
        },
    )
}

fn number<'a>(builder: &mut FlatBufferBuilder<'a>, name: &str, value: i32) -> WIPOffset<Parameter<'a>> {
    let name = builder.create_string(name);
    let value = Integer32::create(builder, &Integer32Args { value }).as_union_value();
    let args = ParameterArgs { name: Some(name), value_type: Value::Integer32, value: Some(value) };
    Parameter::create(builder, &args)
}

fn text<'a>(builder: &mut FlatBufferBuilder<'a>, name: &str, value: &str) -> WIPOffset<Parameter<'a>> {
    let name = builder.create_string(name);
    let value = builder.create_string(value);
    let value = TextParameter::create(builder, &StringArgs { value: Some(value) }).as_union_value();
    let args = ParameterArgs { name: Some(name), value_type: Value::String, value: Some(value) };
    Parameter::create(builder, &args)
}
