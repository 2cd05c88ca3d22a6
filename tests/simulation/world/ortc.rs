//! What a library derives of what a producer says: what can be consumed of it, by receivers and by pipes.

use ringsoup_sfu::command::{Consume, Layers, Produce};
use ringsoup_sfu::rtp_parameters::{
    CodecMapping, EncodingMapping, ExtensionUri, MediaKind, Parameter, ParameterValue, RtcpParameters,
    RtpCodecParameters, RtpEncodingParameters, RtpMapping, RtpParameters, RtpType,
    layers_of_scalability_mode,
};

use crate::common::parameters::extension;

/// A producer as its router knows it.
#[derive(Debug, Clone)]
pub(super) struct Consumable {
    pub(super) kind: MediaKind,
    codecs: Vec<RtpCodecParameters>,
    extensions: Vec<ExtensionUri>,
    encodings: Vec<RtpEncodingParameters>,
}

fn is_rtx(codec: &RtpCodecParameters) -> bool {
    codec.mime_type.ends_with("/rtx")
}

fn router_extensions(
    extensions: &[ExtensionUri],
) -> Vec<ringsoup_sfu::rtp_parameters::RtpHeaderExtensionParameters> {
    extensions.iter().map(|uri| extension(*uri, uri.router_id())).collect()
}

impl Consumable {
    pub(super) fn of(produce: &Produce) -> Self {
        let mapped = |payload_type: u8| {
            let mapping = produce.rtp_mapping.codecs.iter();
            let found = mapping.clone().find(|mapping| mapping.payload_type == payload_type);
            found.expect("every codec is mapped").mapped_payload_type
        };
        let codec = |codec: &RtpCodecParameters| {
            let mut codec = RtpCodecParameters { payload_type: mapped(codec.payload_type), ..codec.clone() };
            for parameter in codec.parameters.iter_mut().filter(|parameter| parameter.name == "apt") {
                if let ParameterValue::Integer(apt) = &mut parameter.value {
                    *apt = mapped(u8::try_from(*apt).expect("a payload type")).into();
                }
            }
            codec
        };
        let parameters = &produce.rtp_parameters;
        let encodings = parameters.encodings.iter().zip(&produce.rtp_mapping.encodings);
        let encoding =
            |(encoding, mapping): (&RtpEncodingParameters, &EncodingMapping)| RtpEncodingParameters {
                ssrc: Some(mapping.mapped_ssrc),
                rid: None,
                rtx_ssrc: None,
                codec_payload_type: None,
                ..encoding.clone()
            };
        // Of the connection to the sender, not of its media.
        let is_passed_on = |uri: &ExtensionUri| {
            !matches!(
                uri,
                ExtensionUri::Mid
                    | ExtensionUri::RtpStreamId
                    | ExtensionUri::RepairRtpStreamId
                    | ExtensionUri::AbsSendTime
                    | ExtensionUri::TransportWideCc01
            )
        };
        Self {
            kind: produce.kind,
            codecs: parameters.codecs.iter().map(codec).collect(),
            extensions: parameters
                .header_extensions
                .iter()
                .map(|known| known.uri)
                .filter(is_passed_on)
                .collect(),
            encodings: encodings.map(encoding).collect(),
        }
    }

    /// How many there are to choose from; `None` for what has no layers.
    pub(super) fn layers(&self) -> Option<Layers> {
        let mode = self.encodings[0].scalability_mode.as_deref();
        let (spatial, temporal) = layers_of_scalability_mode(mode);
        let spatial = spatial.max(u8::try_from(self.encodings.len()).expect("few encodings"));
        (spatial > 1 || temporal > 1).then_some(Layers { spatial, temporal: Some(temporal) })
    }

    /// The highest of them.
    pub(super) fn highest(&self) -> Option<Layers> {
        let layers = self.layers()?;
        Some(Layers { spatial: layers.spatial - 1, temporal: layers.temporal.map(|temporal| temporal - 1) })
    }

    pub(super) fn has_rtx(&self) -> bool {
        self.codecs.iter().any(is_rtx)
    }

    /// For a receiver, as one stream, with RTX under `ssrc + 1`.
    pub(super) fn consume(&self, consumer: &str, producer: &str, ssrc: u32) -> Consume {
        let mode =
            self.layers().map(|layers| format!("L{}T{}", layers.spatial, layers.temporal.unwrap_or(1)));
        let own = self.encodings[0].scalability_mode.clone();
        let encoding = RtpEncodingParameters {
            ssrc: Some(ssrc),
            rtx_ssrc: self.has_rtx().then_some(ssrc + 1),
            scalability_mode: if self.encodings.len() > 1 { mode } else { own },
            ..RtpEncodingParameters::default()
        };
        let mut extensions = vec![ExtensionUri::Mid];
        extensions.extend(&self.extensions);
        let mut parameters = self.parameters(self.codecs.clone(), vec![encoding]);
        parameters.mid = Some(format!("{}", ssrc % 100));
        parameters.header_extensions = router_extensions(&extensions);
        self.request(consumer, producer, parameters, RtpType::Simple)
    }

    /// For a pipe: a stream per encoding.
    pub(super) fn pipe(&self, consumer: &str, producer: &str, first_ssrc: u32, rtx: bool) -> Consume {
        let mut codecs: Vec<_> = self.codecs.iter().filter(|codec| rtx || !is_rtx(codec)).cloned().collect();
        if !rtx {
            for codec in &mut codecs {
                codec.rtcp_feedback.retain(|feedback| feedback.kind != "nack" || feedback.parameter == "pli");
            }
        }
        let rtx = rtx && self.has_rtx();
        let encoding = |(ssrc, encoding): (u32, &RtpEncodingParameters)| RtpEncodingParameters {
            ssrc: Some(ssrc),
            rtx_ssrc: rtx.then_some(ssrc + 100),
            ..encoding.clone()
        };
        let encodings = (first_ssrc..).zip(&self.encodings).map(encoding).collect();
        let mut parameters = self.parameters(codecs, encodings);
        parameters.header_extensions = router_extensions(&self.extensions);
        self.request(consumer, producer, parameters, RtpType::Pipe)
    }

    fn parameters(
        &self,
        codecs: Vec<RtpCodecParameters>,
        encodings: Vec<RtpEncodingParameters>,
    ) -> RtpParameters {
        RtpParameters {
            mid: None,
            codecs,
            header_extensions: Vec::new(),
            encodings,
            rtcp: RtcpParameters { cname: Some("cname".into()), reduced_size: true },
            msid: None,
        }
    }

    fn request(
        &self,
        consumer: &str,
        producer: &str,
        rtp_parameters: RtpParameters,
        requested_type: RtpType,
    ) -> Consume {
        Consume {
            consumer: consumer.into(),
            producer: producer.into(),
            kind: self.kind,
            rtp_parameters,
            requested_type,
            consumable_rtp_encodings: self.encodings.clone(),
            paused: false,
            preferred_layers: None,
            ignore_dtx: false,
        }
    }
}

/// The producer at the far end of a pipe, by the consumer at its near end.
pub(super) fn produce_piped(producer: &str, consume: &Consume, mapped_ssrc: u32, paused: bool) -> Produce {
    let rtp_parameters = consume.rtp_parameters.clone();
    let same = |codec: &RtpCodecParameters| CodecMapping {
        payload_type: codec.payload_type,
        mapped_payload_type: codec.payload_type,
    };
    let mapping = |(mapped_ssrc, encoding): (u32, &RtpEncodingParameters)| EncodingMapping {
        rid: None,
        ssrc: encoding.ssrc,
        mapped_ssrc,
    };
    let rtp_mapping = RtpMapping {
        codecs: rtp_parameters.codecs.iter().map(same).collect(),
        encodings: (mapped_ssrc..).zip(&rtp_parameters.encodings).map(mapping).collect(),
    };
    Produce {
        producer: producer.into(),
        kind: consume.kind,
        rtp_parameters,
        rtp_mapping,
        paused,
        key_frame_request_delay: 0,
        enable_packet_id: false,
    }
}

/// The RTX payload type that repairs each payload type.
pub(super) fn rtx_payload_types(codecs: &[RtpCodecParameters]) -> Vec<(u8, u8)> {
    let apt = |codec: &RtpCodecParameters| {
        codec.parameters.iter().find_map(|Parameter { name, value }| match value {
            ParameterValue::Integer(apt) if name == "apt" => u8::try_from(*apt).ok(),
            _ => None,
        })
    };
    codecs
        .iter()
        .filter(|codec| is_rtx(codec))
        .filter_map(|codec| Some((apt(codec)?, codec.payload_type)))
        .collect()
}
