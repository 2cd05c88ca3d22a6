//! RTP parameters and mappings, both ways.

use flatbuffers::{ForwardsUOffset, Vector, WIPOffset};
use ringsoup_fbs::fbs::rtp_parameters as wire;
use ringsoup_sfu::command::CommandError;
use ringsoup_sfu::rtp_parameters::{
    CodecMapping, EncodingMapping, ExtensionUri, MediaKind, Parameter, ParameterValue, RtcpFeedback,
    RtcpParameters, RtpCodecParameters, RtpEncodingParameters, RtpHeaderExtensionParameters, RtpMapping,
    RtpParameters, RtpType,
};

use super::encoder::Dumps;
use super::loose_values::{LOOSE_INTEGERS, LOOSE_TRUE, loose_integers};
use super::{
    Builder, Tables, Union, canonical_mime_type, non_empty, optional_text, present_text, tables,
    unknown_number,
};

/// How dumps call an encoding without layers, whatever the controller called it.
const ONE_LAYER: &str = "S1T1";

/// An extension's number on the wire is its index.
const EXTENSION_URIS: [ExtensionUri; 14] = [
    ExtensionUri::Mid,
    ExtensionUri::RtpStreamId,
    ExtensionUri::RepairRtpStreamId,
    ExtensionUri::AbsSendTime,
    ExtensionUri::TransportWideCc01,
    ExtensionUri::SsrcAudioLevel,
    ExtensionUri::DependencyDescriptor,
    ExtensionUri::VideoOrientation,
    ExtensionUri::TimeOffset,
    ExtensionUri::AbsCaptureTime,
    ExtensionUri::PlayoutDelay,
    ExtensionUri::MediasoupPacketId,
    ExtensionUri::FrameMarkingDraft07,
    ExtensionUri::FrameMarking,
];

pub(super) fn decode_kind(kind: wire::MediaKind) -> Result<MediaKind, CommandError> {
    match kind {
        wire::MediaKind::AUDIO => Ok(MediaKind::Audio),
        wire::MediaKind::VIDEO => Ok(MediaKind::Video),
        wire::MediaKind(number) => Err(unknown_number("media kind", number)),
    }
}

pub(super) fn encode_kind(kind: MediaKind) -> wire::MediaKind {
    match kind {
        MediaKind::Audio => wire::MediaKind::AUDIO,
        MediaKind::Video => wire::MediaKind::VIDEO,
    }
}

pub(super) fn decode_type(rtp_type: wire::Type) -> Result<RtpType, CommandError> {
    match rtp_type {
        wire::Type::SIMPLE => Ok(RtpType::Simple),
        wire::Type::SIMULCAST => Ok(RtpType::Simulcast),
        wire::Type::SVC => Ok(RtpType::Svc),
        wire::Type::PIPE => Ok(RtpType::Pipe),
        wire::Type(number) => Err(unknown_number("RTP parameters type", number)),
    }
}

pub(super) fn encode_type(rtp_type: RtpType) -> wire::Type {
    match rtp_type {
        RtpType::Simple => wire::Type::SIMPLE,
        RtpType::Simulcast => wire::Type::SIMULCAST,
        RtpType::Svc => wire::Type::SVC,
        RtpType::Pipe => wire::Type::PIPE,
    }
}

pub(super) fn decode(parameters: wire::RtpParameters<'_>) -> Result<RtpParameters, CommandError> {
    Ok(RtpParameters {
        mid: non_empty(parameters.mid()),
        codecs: parameters.codecs().iter().map(decode_codec).collect(),
        header_extensions: parameters
            .header_extensions()
            .iter()
            .map(decode_extension)
            .collect::<Result<_, _>>()?,
        encodings: decode_encodings(parameters.encodings()),
        rtcp: RtcpParameters {
            cname: parameters.rtcp().cname().map(str::to_owned),
            reduced_size: parameters.rtcp().reduced_size(),
        },
        msid: non_empty(parameters.msid()),
    })
}

fn decode_codec(codec: wire::RtpCodecParameters<'_>) -> RtpCodecParameters {
    let feedback = codec.rtcp_feedback().into_iter().flatten();
    RtpCodecParameters {
        mime_type: canonical_mime_type(codec.mime_type()).into_owned(),
        payload_type: codec.payload_type(),
        clock_rate: codec.clock_rate(),
        // The Node library writes 0 when there are none.
        channels: codec.channels().filter(|&channels| channels > 0),
        parameters: decode_parameters(codec.parameters()),
        rtcp_feedback: feedback
            .map(|feedback| RtcpFeedback {
                kind: feedback.type_().to_owned(),
                parameter: feedback.parameter().unwrap_or_default().to_owned(),
            })
            .collect(),
    }
}

fn decode_extension(
    extension: wire::RtpHeaderExtensionParameters<'_>,
) -> Result<RtpHeaderExtensionParameters, CommandError> {
    let number = extension.uri().0;
    let Some(&uri) = EXTENSION_URIS.get(usize::from(number)) else {
        return Err(unknown_number("RTP header extension URI", number));
    };
    Ok(RtpHeaderExtensionParameters {
        uri,
        id: extension.id(),
        encrypt: extension.encrypt(),
        parameters: decode_parameters(extension.parameters()),
    })
}

fn decode_parameters(parameters: Option<Vector<'_, ForwardsUOffset<wire::Parameter<'_>>>>) -> Vec<Parameter> {
    let parameters = parameters.into_iter().flatten();
    parameters
        .filter_map(|parameter| {
            Some(Parameter { name: parameter.name().to_owned(), value: decode_value(parameter)? })
        })
        .collect()
}

/// `None` for types this generation does not know; as in the original, such a parameter is left out.
fn decode_value(parameter: wire::Parameter<'_>) -> Option<ParameterValue> {
    Some(match parameter.value_type() {
        wire::Value::Boolean => ParameterValue::Boolean(parameter.value_as_boolean()?.value() != 0),
        wire::Value::Integer32 => ParameterValue::Integer(parameter.value_as_integer_32()?.value()),
        wire::Value::Double => ParameterValue::Double(parameter.value_as_double()?.value()),
        wire::Value::String => ParameterValue::Text(parameter.value_as_string()?.value().to_owned()),
        wire::Value::Integer32Array => {
            let integers = parameter.value_as_integer_32_array()?.value();
            ParameterValue::IntegerArray(
                integers.map(|integers| integers.iter().collect()).unwrap_or_default(),
            )
        }
        LOOSE_TRUE => ParameterValue::Boolean(true),
        LOOSE_INTEGERS => ParameterValue::IntegerArray(loose_integers(parameter)),
        _ => return None,
    })
}

pub(super) fn decode_encodings(
    encodings: Vector<'_, ForwardsUOffset<wire::RtpEncodingParameters<'_>>>,
) -> Vec<RtpEncodingParameters> {
    let decode = |encoding: wire::RtpEncodingParameters<'_>| RtpEncodingParameters {
        // SSRC 0 is no SSRC, as in the original.
        ssrc: encoding.ssrc().filter(|&ssrc| ssrc != 0),
        rid: non_empty(encoding.rid()),
        codec_payload_type: encoding.codec_payload_type(),
        rtx_ssrc: encoding.rtx().map(|rtx| rtx.ssrc()),
        dtx: encoding.dtx(),
        scalability_mode: non_empty(encoding.scalability_mode()),
        max_bitrate: encoding.max_bitrate(),
    };
    encodings.iter().map(decode).collect()
}

pub(super) fn decode_mapping(mapping: wire::RtpMapping<'_>) -> RtpMapping {
    let codec = |codec: wire::CodecMapping<'_>| CodecMapping {
        payload_type: codec.payload_type(),
        mapped_payload_type: codec.mapped_payload_type(),
    };
    let encoding = |encoding: wire::EncodingMapping<'_>| EncodingMapping {
        rid: non_empty(encoding.rid()),
        ssrc: encoding.ssrc(),
        mapped_ssrc: encoding.mapped_ssrc(),
    };
    RtpMapping {
        codecs: mapping.codecs().iter().map(codec).collect(),
        encodings: mapping.encodings().iter().map(encoding).collect(),
    }
}

/// What dumps tell of parameters, as the original does: from 3.13.0 on it loses booleans, keeps the highest bitrate to
/// itself and has a name for an encoding without layers.
pub(super) fn dumped(parameters: &RtpParameters, dumps: Dumps) -> RtpParameters {
    let mut dumped = parameters.clone();
    if dumps == Dumps::Whole {
        return dumped;
    }
    let codecs = dumped.codecs.iter_mut().map(|codec| &mut codec.parameters);
    let extensions = dumped.header_extensions.iter_mut().map(|extension| &mut extension.parameters);
    for parameters in codecs.chain(extensions) {
        parameters.retain(|parameter| !matches!(parameter.value, ParameterValue::Boolean(_)));
    }
    dumped.encodings = dumped_encodings(&parameters.encodings, dumps);
    dumped
}

/// See [`dumped`].
pub(super) fn dumped_encodings(
    encodings: &[RtpEncodingParameters],
    dumps: Dumps,
) -> Vec<RtpEncodingParameters> {
    if dumps == Dumps::Whole {
        return encodings.to_vec();
    }
    let dumped = encodings.iter().cloned().map(|mut encoding| {
        encoding.scalability_mode.get_or_insert_with(|| ONE_LAYER.to_owned());
        encoding.max_bitrate = None;
        encoding
    });
    dumped.collect()
}

pub(super) fn encode(
    builder: &mut Builder,
    parameters: &RtpParameters,
) -> WIPOffset<wire::RtpParameters<'static>> {
    let codecs = Some(tables(builder, &parameters.codecs, encode_codec));
    let encodings = Some(encode_encodings(builder, &parameters.encodings));
    let header_extensions = Some(tables(builder, &parameters.header_extensions, encode_extension));
    let cname = present_text(builder, parameters.rtcp.cname.as_deref());
    let rtcp_args = wire::RtcpParametersArgs { cname, reduced_size: parameters.rtcp.reduced_size };
    let rtcp = Some(wire::RtcpParameters::create(builder, &rtcp_args));
    let mid = present_text(builder, parameters.mid.as_deref());
    let msid = present_text(builder, parameters.msid.as_deref());
    let args = wire::RtpParametersArgs { mid, codecs, header_extensions, encodings, rtcp, msid };
    wire::RtpParameters::create(builder, &args)
}

fn encode_codec(
    builder: &mut Builder,
    codec: &RtpCodecParameters,
) -> WIPOffset<wire::RtpCodecParameters<'static>> {
    let mime_type = Some(builder.create_string(&canonical_mime_type(&codec.mime_type)));
    let parameters = Some(encode_parameters(builder, &codec.parameters));
    let rtcp_feedback = Some(tables(builder, &codec.rtcp_feedback, |builder, feedback| {
        let type_ = Some(builder.create_string(&feedback.kind));
        let parameter = optional_text(builder, Some(&feedback.parameter));
        wire::RtcpFeedback::create(builder, &wire::RtcpFeedbackArgs { type_, parameter })
    }));
    let args = wire::RtpCodecParametersArgs {
        mime_type,
        payload_type: codec.payload_type,
        clock_rate: codec.clock_rate,
        // One channel is the default and is not said.
        channels: codec.channels.filter(|&channels| channels > 1),
        parameters,
        rtcp_feedback,
    };
    wire::RtpCodecParameters::create(builder, &args)
}

fn encode_extension(
    builder: &mut Builder,
    extension: &RtpHeaderExtensionParameters,
) -> WIPOffset<wire::RtpHeaderExtensionParameters<'static>> {
    let parameters = Some(encode_parameters(builder, &extension.parameters));
    let args = wire::RtpHeaderExtensionParametersArgs {
        uri: encode_extension_uri(extension.uri),
        id: extension.id,
        encrypt: extension.encrypt,
        parameters,
    };
    wire::RtpHeaderExtensionParameters::create(builder, &args)
}

fn encode_extension_uri(uri: ExtensionUri) -> wire::RtpHeaderExtensionUri {
    let numbers = 0_u8..;
    let number = numbers.zip(EXTENSION_URIS).find(|(_, known)| *known == uri).map(|(number, _)| number);
    wire::RtpHeaderExtensionUri(number.expect("the table names every extension"))
}

fn encode_parameters(builder: &mut Builder, parameters: &[Parameter]) -> Tables<wire::Parameter<'static>> {
    tables(builder, parameters, |builder, parameter| {
        let (value_type, value) = encode_value(builder, &parameter.value);
        let name = Some(builder.create_string(&parameter.name));
        wire::Parameter::create(builder, &wire::ParameterArgs { name, value_type, value: Some(value) })
    })
}

fn encode_value(builder: &mut Builder, value: &ParameterValue) -> (wire::Value, Union) {
    match value {
        ParameterValue::Boolean(value) => {
            let args = wire::BooleanArgs { value: u8::from(*value) };
            (wire::Value::Boolean, wire::Boolean::create(builder, &args).as_union_value())
        }
        ParameterValue::Integer(value) => {
            let args = wire::Integer32Args { value: *value };
            (wire::Value::Integer32, wire::Integer32::create(builder, &args).as_union_value())
        }
        ParameterValue::Double(value) => {
            let args = wire::DoubleArgs { value: *value };
            (wire::Value::Double, wire::Double::create(builder, &args).as_union_value())
        }
        ParameterValue::Text(value) => {
            let args = wire::StringArgs { value: Some(builder.create_string(value)) };
            (wire::Value::String, wire::String::create(builder, &args).as_union_value())
        }
        ParameterValue::IntegerArray(value) => {
            let args = wire::Integer32ArrayArgs { value: Some(builder.create_vector(value)) };
            (wire::Value::Integer32Array, wire::Integer32Array::create(builder, &args).as_union_value())
        }
    }
}

pub(super) fn encode_encodings(
    builder: &mut Builder,
    encodings: &[RtpEncodingParameters],
) -> Tables<wire::RtpEncodingParameters<'static>> {
    tables(builder, encodings, |builder, encoding| {
        let rid = optional_text(builder, encoding.rid.as_deref());
        let rtx = encoding.rtx_ssrc.map(|ssrc| wire::Rtx::create(builder, &wire::RtxArgs { ssrc }));
        let scalability_mode = present_text(builder, encoding.scalability_mode.as_deref());
        let args = wire::RtpEncodingParametersArgs {
            ssrc: encoding.ssrc,
            rid,
            codec_payload_type: encoding.codec_payload_type,
            rtx,
            dtx: encoding.dtx,
            scalability_mode,
            max_bitrate: encoding.max_bitrate,
        };
        wire::RtpEncodingParameters::create(builder, &args)
    })
}

pub(super) fn encode_mapping(
    builder: &mut Builder,
    mapping: &RtpMapping,
) -> WIPOffset<wire::RtpMapping<'static>> {
    let codecs = Some(tables(builder, &mapping.codecs, |builder, codec| {
        let args = wire::CodecMappingArgs {
            payload_type: codec.payload_type,
            mapped_payload_type: codec.mapped_payload_type,
        };
        wire::CodecMapping::create(builder, &args)
    }));
    let encodings = Some(tables(builder, &mapping.encodings, |builder, encoding| {
        let rid = present_text(builder, encoding.rid.as_deref());
        let ssrc = encoding.ssrc.filter(|&ssrc| ssrc != 0);
        let args = wire::EncodingMappingArgs { rid, ssrc, mapped_ssrc: encoding.mapped_ssrc };
        wire::EncodingMapping::create(builder, &args)
    }));
    wire::RtpMapping::create(builder, &wire::RtpMappingArgs { codecs, encodings })
}
