//! What RTP parameters must satisfy before a producer or consumer is made of them.
//!
//! Every failure is the controller's `TypeError`, in the words its library and tests know.

use ringsoup_rtc::codec::{Codec, MimeType, MimeTypeError};

use crate::command::CommandError;
use crate::rtp_parameters::{
    RtpCodecParameters, RtpEncodingParameters, RtpParameters, RtpType, is_scalability_mode,
    layers_of_scalability_mode,
};
use crate::rules::Rules;

/// Checks `parameters` and fills in what may be left out (an encoding's payload type).
///
/// # Errors
/// `TypeError` naming the first thing that is wrong.
pub fn check(parameters: &mut RtpParameters, rules: &Rules) -> Result<(), CommandError> {
    let codecs = mime_types(parameters, rules)?;
    let wrong = |reason: &str| Err(CommandError::type_error(reason));
    if codecs.is_empty() {
        return wrong("empty codecs");
    }
    if parameters.encodings.is_empty() {
        return wrong("empty encodings");
    }
    if parameters.header_extensions.iter().any(|extension| extension.id == 0) {
        return wrong("invalid id 0");
    }
    // What identifies the streams that share a clock (RFC 3550 section 6.5.1).
    match parameters.rtcp.cname.as_deref() {
        None => return wrong("missing cname"),
        Some("") => return wrong("empty cname"),
        Some(_) => {}
    }
    check_codecs(&codecs)?;
    drop_unknown_modes(&mut parameters.encodings);
    fill_encodings(parameters)
}

/// A scalability mode that is none means nothing, and is not shown.
pub fn drop_unknown_modes(encodings: &mut [RtpEncodingParameters]) {
    for encoding in encodings {
        encoding.scalability_mode = encoding.scalability_mode.take().filter(|mode| is_scalability_mode(mode));
    }
}

fn mime_types<'a>(
    parameters: &'a RtpParameters,
    rules: &Rules,
) -> Result<Vec<(&'a RtpCodecParameters, MimeType)>, CommandError> {
    let parse = |codec: &RtpCodecParameters| {
        let mime_type = known_mime_type(&codec.mime_type, rules);
        let mime_type = mime_type.map_err(|error| CommandError::type_error(error.to_string()))?;
        if mime_type.codec == Codec::Rtx && codec.integer("apt").is_none_or(|apt| apt < 0) {
            return Err(CommandError::type_error("missing apt parameter in RTX codec"));
        }
        Ok(mime_type)
    };
    parameters.codecs.iter().map(|codec| Ok((codec, parse(codec)?))).collect()
}

/// What a controller does not know is refused as what nobody knows.
fn known_mime_type(text: &str, rules: &Rules) -> Result<MimeType, MimeTypeError> {
    let mime_type: MimeType = text.parse()?;
    if rules.unknown_codecs.contains(&mime_type.codec) {
        return Err(MimeTypeError::UnknownCodec(mime_type.codec.as_str().to_ascii_lowercase()));
    }
    Ok(mime_type)
}

fn check_codecs(codecs: &[(&RtpCodecParameters, MimeType)]) -> Result<(), CommandError> {
    for (index, (codec, mime_type)) in codecs.iter().enumerate() {
        if codecs[..index].iter().any(|(earlier, _)| earlier.payload_type == codec.payload_type) {
            return Err(CommandError::type_error("duplicated payloadType"));
        }
        if mime_type.codec == Codec::Rtx {
            check_rtx(codec, codecs)?;
        }
    }
    Ok(())
}

/// RFC 4588 section 8.1: `apt` names the payload type that is retransmitted.
fn check_rtx(
    rtx: &RtpCodecParameters,
    codecs: &[(&RtpCodecParameters, MimeType)],
) -> Result<(), CommandError> {
    let apt = rtx.integer("apt");
    let target = codecs.iter().find(|(codec, _)| Some(i32::from(codec.payload_type)) == apt);
    let wrong = match target.map(|(_, mime_type)| mime_type.codec) {
        None => "a non existing codec",
        Some(Codec::Rtx) => "a RTX codec",
        Some(Codec::Ulpfec) => "a ULPFEC codec",
        Some(Codec::Flexfec) => "a FLEXFEC codec",
        Some(_) => return Ok(()),
    };
    Err(CommandError::type_error(format!("apt in RTX codec points to {wrong}")))
}

fn fill_encodings(parameters: &mut RtpParameters) -> Result<(), CommandError> {
    let codecs = &parameters.codecs;
    let is_media = |codec: &RtpCodecParameters| {
        codec.mime_type.parse::<MimeType>().is_ok_and(|mime_type| mime_type.codec.is_media())
    };
    let Some(first_media) = codecs.iter().find(|codec| is_media(codec)).map(|codec| codec.payload_type)
    else {
        return Err(CommandError::type_error("no media codecs found"));
    };
    let several = parameters.encodings.len() > 1;
    for encoding in &mut parameters.encodings {
        let (spatial, _) = layers_of_scalability_mode(encoding.scalability_mode.as_deref());
        if spatial > 1 && several {
            return Err(CommandError::type_error(
                "cannot use both simulcast and encodings with multiple SVC spatial layers",
            ));
        }
        match encoding.codec_payload_type {
            None => encoding.codec_payload_type = Some(first_media),
            Some(payload_type) => match codecs.iter().find(|codec| codec.payload_type == payload_type) {
                None => return Err(CommandError::type_error("unknown codecPayloadType")),
                Some(codec) if !is_media(codec) => {
                    return Err(CommandError::type_error("invalid codecPayloadType"));
                }
                Some(_) => {}
            },
        }
    }
    Ok(())
}

/// Which type checked parameters of a producer have.
///
/// # Errors
/// `TypeError` when the codec cannot be sent in that way.
pub fn type_of(parameters: &RtpParameters, rules: &Rules) -> Result<(RtpType, MimeType), CommandError> {
    let encoding = &parameters.encodings[0];
    let codec = parameters.codec_of(encoding).expect("check() gives every encoding a codec");
    let mime_type: MimeType = codec.mime_type.parse().expect("check() parsed every MIME type");
    let (spatial, temporal) = layers_of_scalability_mode(encoding.scalability_mode.as_deref());
    let rtp_type = if parameters.encodings.len() > 1 {
        RtpType::Simulcast
    } else if spatial == 1 && temporal == 1 {
        RtpType::Simple
    } else if allows(RtpType::Svc, mime_type, rules) || !rules.has_simulcast_of_one {
        RtpType::Svc
    } else if allows(RtpType::Simulcast, mime_type, rules) {
        RtpType::Simulcast
    } else {
        return Err(CommandError::type_error("invalid RTP parameters"));
    };
    if !allows(rtp_type, mime_type, rules) {
        let name = name_of(rtp_type);
        return Err(CommandError::type_error(format!("{mime_type} codec not supported for {name}")));
    }
    Ok((rtp_type, mime_type))
}

/// The codecs that can be sent in layers.
pub fn allows(rtp_type: RtpType, mime_type: MimeType, rules: &Rules) -> bool {
    match rtp_type {
        RtpType::Simple | RtpType::Pipe => true,
        RtpType::Simulcast => matches!(mime_type.codec, Codec::Vp8 | Codec::H264),
        RtpType::Svc => rules.svc_codecs.contains(&mime_type.codec),
    }
}

pub fn name_of(rtp_type: RtpType) -> &'static str {
    match rtp_type {
        RtpType::Simple => "simple",
        RtpType::Simulcast => "simulcast",
        RtpType::Svc => "svc",
        RtpType::Pipe => "pipe",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtp_parameters::ParameterValue;
    use crate::test_parameters::{h264_with_rtx, opus};

    fn refusal(mut parameters: RtpParameters) -> String {
        check(&mut parameters, &Rules::NEWEST).expect_err("refused").reason
    }

    #[test]
    fn good_parameters_get_their_payload_types_filled_in() {
        let mut parameters = h264_with_rtx(1, 2);
        parameters.encodings[0].codec_payload_type = None;
        check(&mut parameters, &Rules::NEWEST).expect("good");
        assert_eq!(parameters.encodings[0].codec_payload_type, Some(112));
        let rtx = parameters.rtx_codec_of(&parameters.encodings[0]).expect("has RTX");
        assert_eq!(rtx.payload_type, 113);
    }

    #[test]
    fn every_refusal_names_itself() {
        let mut parameters = opus(1);
        parameters.codecs.clear();
        assert_eq!(refusal(parameters), "empty codecs");
        let mut parameters = opus(1);
        parameters.encodings.clear();
        assert_eq!(refusal(parameters), "empty encodings");
        let mut parameters = h264_with_rtx(1, 2);
        parameters.codecs[1].payload_type = 112;
        assert_eq!(refusal(parameters), "duplicated payloadType");
        let mut parameters = h264_with_rtx(1, 2);
        parameters.codecs[1].parameters.clear();
        assert_eq!(refusal(parameters), "missing apt parameter in RTX codec");
        let mut parameters = h264_with_rtx(1, 2);
        parameters.codecs.remove(0);
        assert_eq!(refusal(parameters), "apt in RTX codec points to a non existing codec");
        let mut parameters = h264_with_rtx(1, 2);
        parameters.encodings[0].codec_payload_type = Some(113);
        assert_eq!(refusal(parameters), "invalid codecPayloadType");
        let mut parameters = opus(1);
        parameters.encodings[0].codec_payload_type = Some(99);
        assert_eq!(refusal(parameters), "unknown codecPayloadType");
        let mut parameters = opus(1);
        parameters.codecs[0].mime_type = "audio/none".into();
        assert_eq!(refusal(parameters), "unknown codec MIME subtype 'none'");
        let mut parameters = h264_with_rtx(1, 2);
        parameters.header_extensions[0].id = 0;
        assert_eq!(refusal(parameters), "invalid id 0");
        let mut parameters = opus(1);
        parameters.rtcp.cname = None;
        assert_eq!(refusal(parameters), "missing cname");
        let mut parameters = opus(1);
        parameters.rtcp.cname = Some(String::new());
        assert_eq!(refusal(parameters), "empty cname");
        let mut parameters = opus(1);
        parameters.codecs[0].mime_type = "text/opus".into();
        assert_eq!(refusal(parameters), "unknown codec MIME type 'text'");
        let mut parameters = h264_with_rtx(1, 2);
        parameters.codecs[1].parameters[0].value = ParameterValue::Integer(-1);
        assert_eq!(refusal(parameters), "missing apt parameter in RTX codec");
        let mut parameters = h264_with_rtx(1, 2);
        parameters.codecs.remove(0);
        parameters.codecs[0].parameters[0].value = ParameterValue::Integer(113);
        assert_eq!(refusal(parameters), "apt in RTX codec points to a RTX codec");
        for (codec, name) in [("video/ulpfec", "ULPFEC"), ("video/flexfec", "FLEXFEC")] {
            let mut parameters = h264_with_rtx(1, 2);
            parameters.codecs[0].mime_type = codec.into();
            assert_eq!(refusal(parameters), format!("apt in RTX codec points to a {name} codec"));
        }
        let mut parameters = opus(1);
        parameters.codecs[0].mime_type = "audio/CN".into();
        assert_eq!(refusal(parameters), "no media codecs found");
        let mut parameters = h264_with_rtx(1, 2);
        parameters.encodings[0].scalability_mode = Some("L2T1".into());
        parameters.encodings.push(parameters.encodings[0].clone());
        assert_eq!(
            refusal(parameters),
            "cannot use both simulcast and encodings with multiple SVC spatial layers"
        );
    }

    #[test]
    fn of_several_faults_the_first_in_the_channels_order_is_told() {
        let mut parameters = h264_with_rtx(1, 2);
        parameters.encodings[0].codec_payload_type = Some(99);
        parameters.codecs[1].payload_type = 112;
        let mut told = Vec::new();
        let mut mend = |change: fn(&mut RtpParameters)| {
            told.push(refusal(parameters.clone()));
            change(&mut parameters);
        };
        mend(|parameters| parameters.rtcp.cname = None);
        mend(|parameters| parameters.header_extensions[0].id = 0);
        mend(|parameters| parameters.encodings.clear());
        mend(|parameters| parameters.codecs[1].parameters.clear());
        mend(|_| {});
        let expected = [
            "duplicated payloadType",
            "missing cname",
            "invalid id 0",
            "empty encodings",
            "missing apt parameter in RTX codec",
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn a_mode_that_is_none_is_forgotten() {
        let mut parameters = opus(1);
        parameters.encodings[0].scalability_mode = Some("S99".into());
        check(&mut parameters, &Rules::NEWEST).expect("good");
        assert_eq!(parameters.encodings[0].scalability_mode, None);
        parameters.encodings[0].scalability_mode = Some("L1T1_whatever".into());
        check(&mut parameters, &Rules::NEWEST).expect("good");
        assert!(parameters.encodings[0].scalability_mode.is_some());
    }

    #[test]
    fn every_codec_that_carries_media_can_be_produced() {
        for codec in [
            "audio/opus",
            "audio/multiopus",
            "audio/PCMA",
            "audio/PCMU",
            "audio/ISAC",
            "audio/G722",
            "audio/iLBC",
            "audio/SILK",
            "video/VP8",
            "video/VP9",
            "video/H264",
            "video/AV1",
        ] {
            let mut parameters = opus(1);
            parameters.codecs[0].mime_type = codec.into();
            check(&mut parameters, &Rules::NEWEST).expect(codec);
            assert_eq!(
                type_of(&parameters, &Rules::NEWEST).map(|(rtp_type, _)| rtp_type),
                Ok(RtpType::Simple)
            );
            parameters.encodings[0].scalability_mode = Some("L3T3".into());
            let expected = match codec {
                "video/VP8" | "video/VP9" | "video/H264" | "video/AV1" => Ok(RtpType::Svc),
                _ => Err("invalid RTP parameters".to_owned()),
            };
            let of = type_of(&parameters, &Rules::NEWEST)
                .map(|(rtp_type, _)| rtp_type)
                .map_err(|error| error.reason);
            assert_eq!(of, expected, "{codec}");
        }
    }

    #[test]
    fn types_follow_encodings_and_codec() {
        let type_of_checked = |mut parameters: RtpParameters| {
            check(&mut parameters, &Rules::NEWEST).expect("good");
            type_of(&parameters, &Rules::NEWEST).map(|(rtp_type, _)| rtp_type).map_err(|error| error.reason)
        };
        assert_eq!(type_of_checked(opus(1)), Ok(RtpType::Simple));
        let mut parameters = h264_with_rtx(1, 2);
        parameters.encodings[0].scalability_mode = Some("L1T3".into());
        assert_eq!(type_of_checked(parameters.clone()), Ok(RtpType::Svc));
        parameters.encodings.push(parameters.encodings[0].clone());
        assert_eq!(type_of_checked(parameters), Ok(RtpType::Simulcast));
        let mut parameters = opus(1);
        parameters.encodings.push(parameters.encodings[0].clone());
        assert_eq!(type_of_checked(parameters), Err("audio/opus codec not supported for simulcast".into()));
    }
}
