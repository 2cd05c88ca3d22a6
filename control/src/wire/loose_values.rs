//! Codec and header-extension parameters that mediasoup's Node library writes wrongly.
//!
//! A parameter's value is a table of the kind its type says. For two kinds the library (3.27.1) writes no table:
//! for `true` the offset that stands in its place leads to the frame's last byte, for an array of integers to the
//! bare vector (`false` it refuses to write at all). The original reads both without verifying and gets garbage;
//! the verifier refuses the whole request, and with it a `produce` that is otherwise in order.
//!
//! So when a frame fails, the type of each such value is replaced in a copy by a number of our own, which the
//! verifier lets pass like any number it does not know, and
//! [`rtp_parameters`](super::rtp_parameters) reads the value for what it is.

use ringsoup_fbs::fbs::request::{Body, Request};
use ringsoup_fbs::fbs::rtp_parameters::{
    Parameter, RtpCodecParameters, RtpHeaderExtensionParameters, RtpParameters, Value,
};
use ringsoup_fbs::fbs::transport::{ConsumeRequest, ProduceRequest};

use super::unverified::{Unverified, integers};

/// `true`, without a table. Far off the numbers the schema may grow.
pub(super) const LOOSE_TRUE: Value = Value(254);

/// A vector of integers, without a table around it.
pub(super) const LOOSE_INTEGERS: Value = Value(255);

/// Parameters, and owners of parameters, looked at in one frame; overlapping vectors could name far more.
const VISITS_MAX: usize = 65_536;

/// Integers of one parameter: a channel mapping has at most 255 entries (RFC 7845 section 5.1.1).
const INTEGERS_MAX: usize = 256;

/// A copy of `frame` with its loose values marked; `None` when it has none.
pub(super) fn mark(frame: &[u8]) -> Option<Vec<u8>> {
    let rtp_parameters = rtp_parameters(Unverified::request(frame)?)?;
    let codecs = rtp_parameters
        .tables(RtpParameters::VT_CODECS)
        .map(|codec| (codec, RtpCodecParameters::VT_PARAMETERS));
    let extensions = rtp_parameters
        .tables(RtpParameters::VT_HEADER_EXTENSIONS)
        .map(|extension| (extension, RtpHeaderExtensionParameters::VT_PARAMETERS));

    let mut marked = None;
    let mut visits = 0..VISITS_MAX;
    for (owner, field) in codecs.chain(extensions) {
        visits.next()?;
        for parameter in owner.tables(field) {
            visits.next()?;
            let Some((at, value_type)) = loose_value(frame, parameter) else { continue };
            let copy: &mut Vec<u8> = marked.get_or_insert_with(|| frame.to_vec());
            if let Some(byte) = copy.get_mut(at) {
                *byte = value_type.0;
            }
        }
    }
    marked
}

/// The integers of a parameter marked [`LOOSE_INTEGERS`].
pub(super) fn loose_integers(parameter: Parameter<'_>) -> Vec<i32> {
    let table = Unverified::new(parameter._tab.buf(), parameter._tab.loc());
    let vector = table.target(Parameter::VT_VALUE);
    vector.map(|at| integers(parameter._tab.buf(), at).take(INTEGERS_MAX).collect()).unwrap_or_default()
}

fn rtp_parameters(request: Unverified<'_>) -> Option<Unverified<'_>> {
    let field = match Body(request.byte(Request::VT_BODY_TYPE)?) {
        Body::Transport_ProduceRequest => ProduceRequest::VT_RTP_PARAMETERS,
        Body::Transport_ConsumeRequest => ConsumeRequest::VT_RTP_PARAMETERS,
        _ => return None,
    };
    request.table(Request::VT_BODY)?.table(field)
}

/// Where a loose value's type is written and what to write there instead.
fn loose_value(frame: &[u8], parameter: Unverified<'_>) -> Option<(usize, Value)> {
    let at = parameter.field(Parameter::VT_VALUE_TYPE)?;
    match Value(*frame.get(at)?) {
        Value::Boolean if parameter.target(Parameter::VT_VALUE)? == frame.len() - 1 => Some((at, LOOSE_TRUE)),
        Value::Integer32Array => Some((at, LOOSE_INTEGERS)),
        _ => None,
    }
}
