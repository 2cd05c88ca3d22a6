//! How a consumer picks its packets: read out of its checked parameters once.

use crate::command::{CommandError, Layers as AskedLayers};
use crate::consumer::layers::simple::{IgnoredDtx, SimpleLayers};
use crate::consumer::layers::simulcast::{NewSimulcast, SimulcastLayers};
use crate::consumer::layers::svc::{NewSvc, SvcLayers};
use crate::consumer::layers::{LayerPair, Layers};
use crate::parameter_check;
use crate::rtp_parameters::{RtpEncodingParameters, RtpType};
use crate::rules::Rules;
use crate::stream_params::StreamParams;

/// What a controller asks of a consumer's layers.
#[derive(Debug, Clone, Copy)]
pub(super) struct LayerOptions {
    /// The highest where nothing is asked.
    pub preferred: Option<AskedLayers>,
    pub ignores_dtx: bool,
    /// The payload type of sound with redundancy, where that was negotiated.
    pub redundant: Option<u8>,
}

impl From<LayerPair> for AskedLayers {
    fn from(layers: LayerPair) -> Self {
        Self { spatial: layers.spatial, temporal: Some(layers.temporal) }
    }
}

/// What is asked, within the layers there are; a temporal layer that is not asked is the highest.
pub(crate) fn clamp(asked: Option<AskedLayers>, layers: LayerPair) -> LayerPair {
    let top =
        LayerPair { spatial: layers.spatial.saturating_sub(1), temporal: layers.temporal.saturating_sub(1) };
    let Some(asked) = asked else { return top };
    LayerPair {
        spatial: asked.spatial.min(top.spatial),
        temporal: asked.temporal.map_or(top.temporal, |temporal| temporal.min(top.temporal)),
    }
}

/// # Errors
/// `TypeError` when the encodings or the codec do not fit the type.
pub(super) fn layers(
    rtp_type: RtpType,
    consumable: &[RtpEncodingParameters],
    params: &StreamParams,
    options: &LayerOptions,
    rules: &Rules,
    first_sequence_number: u16,
) -> Result<Layers, CommandError> {
    let mime_type = params.mime_type;
    let layers = LayerPair { spatial: params.shown.spatial_layers, temporal: params.shown.temporal_layers };
    let preferred = clamp(options.preferred, layers);
    if matches!(rtp_type, RtpType::Simple | RtpType::Svc) && consumable.len() != 1 {
        return Err(CommandError::type_error("invalid consumableRtpEncodings with size != 1"));
    }
    match rtp_type {
        RtpType::Simple => {
            let ignored = IgnoredDtx { sound: params.shown.payload_type, redundant: options.redundant };
            let ignored = options.ignores_dtx.then_some(ignored);
            Ok(Layers::Simple(SimpleLayers::new(mime_type, ignored, first_sequence_number)))
        }
        RtpType::Pipe => Ok(Layers::Simple(SimpleLayers::piped(mime_type, first_sequence_number))),
        RtpType::Simulcast => {
            if usize::from(layers.spatial) != consumable.len() {
                return Err(CommandError::type_error(
                    "encoding.spatialLayers does not match number of consumableRtpEncodings",
                ));
            }
            check_codec(rtp_type, params, rules)?;
            Ok(Layers::Simulcast(Box::new(SimulcastLayers::new(NewSimulcast {
                mime_type,
                mapped_ssrcs: consumable.iter().filter_map(|encoding| encoding.ssrc).collect(),
                temporal_layers: layers.temporal,
                preferred,
                clock_rate: params.shown.clock_rate,
                first_sequence_number,
            }))))
        }
        RtpType::Svc => {
            if layers.spatial < 2 && layers.temporal < 2 {
                return Err(CommandError::type_error("invalid number of layers"));
            }
            check_codec(rtp_type, params, rules)?;
            Ok(Layers::Svc(Box::new(SvcLayers::new(NewSvc {
                mime_type,
                layers,
                is_k_svc: params.is_k_svc,
                preferred,
                first_sequence_number,
            }))))
        }
    }
}

fn check_codec(rtp_type: RtpType, params: &StreamParams, rules: &Rules) -> Result<(), CommandError> {
    if parameter_check::allows(rtp_type, params.mime_type, rules) {
        return Ok(());
    }
    let name = parameter_check::name_of(rtp_type);
    Err(CommandError::type_error(format!("{} codec not supported for {name}", params.mime_type)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wishes_are_cut_to_what_there_is() {
        let layers = LayerPair { spatial: 3, temporal: 2 };
        let clamped = |spatial, temporal| {
            let layers = clamp(Some(AskedLayers { spatial, temporal }), layers);
            (layers.spatial, layers.temporal)
        };
        assert_eq!(clamped(1, Some(0)), (1, 0));
        assert_eq!(clamped(9, Some(9)), (2, 1));
        assert_eq!(clamped(0, None), (0, 1));
        assert_eq!(clamp(None, layers), LayerPair { spatial: 2, temporal: 1 });
    }
}
