//! How an SCTP stream delivers, as checked.

use std::num::NonZeroU16;

use crate::command::CommandError;

use super::command::SctpStreamParameters;

/// Streams are numbered below this: 65,535 of them are the most an association has (RFC 8832 section 6).
const STREAM_ID_MAX: u16 = 65_534;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamParameters {
    pub stream_id: u16,
    pub ordered: bool,
    /// ms a message is worth sending.
    pub max_packet_life_time: Option<NonZeroU16>,
    pub max_retransmits: Option<NonZeroU16>,
}

impl StreamParameters {
    /// # Errors
    /// TypeErrors, for what contradicts itself.
    pub(crate) fn check(request: Option<&SctpStreamParameters>) -> Result<Self, CommandError> {
        let request = request.ok_or_else(|| CommandError::type_error("missing sctpStreamParameters"))?;
        if request.stream_id > STREAM_ID_MAX {
            return Err(CommandError::type_error(format!(
                "streamId must not be greater than {STREAM_ID_MAX}"
            )));
        }
        let max_packet_life_time = request.max_packet_life_time.and_then(NonZeroU16::new);
        let max_retransmits = request.max_retransmits.and_then(NonZeroU16::new);
        let is_partial = max_packet_life_time.is_some() || max_retransmits.is_some();
        if max_packet_life_time.is_some() && max_retransmits.is_some() {
            return Err(CommandError::type_error("cannot provide both maxPacketLifeTime and maxRetransmits"));
        }
        if request.ordered == Some(true) && is_partial {
            return Err(CommandError::type_error(
                "cannot be ordered with maxPacketLifeTime or maxRetransmits",
            ));
        }
        Ok(Self {
            stream_id: request.stream_id,
            ordered: request.ordered.unwrap_or(!is_partial),
            max_packet_life_time,
            max_retransmits,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(
        ordered: Option<bool>,
        life_time: Option<u16>,
        retransmits: Option<u16>,
    ) -> Result<StreamParameters, CommandError> {
        StreamParameters::check(Some(&SctpStreamParameters {
            stream_id: 7,
            ordered,
            max_packet_life_time: life_time,
            max_retransmits: retransmits,
        }))
    }

    #[test]
    fn order_follows_from_reliability_unless_given() {
        let ordered = |ordered, life_time, retransmits| {
            check(ordered, life_time, retransmits).map(|stream| stream.ordered).unwrap()
        };
        assert!(ordered(None, None, None));
        assert!(ordered(Some(true), None, None));
        assert!(!ordered(Some(false), None, None));
        assert!(!ordered(None, Some(5), None));
        assert!(!ordered(Some(false), None, Some(5)));
        // 0 is as good as not given.
        assert!(ordered(Some(true), Some(0), Some(0)));
        assert_eq!(check(None, Some(0), None).unwrap().max_packet_life_time, None);
    }

    #[test]
    fn contradictions_are_type_errors() {
        for (ordered, life_time, retransmits) in
            [(None, Some(1), Some(1)), (Some(true), Some(1), None), (Some(true), None, Some(1))]
        {
            let error = check(ordered, life_time, retransmits).unwrap_err();
            assert_eq!(error, CommandError::type_error(error.reason.clone()));
        }
        assert_eq!(
            StreamParameters::check(None),
            Err(CommandError::type_error("missing sctpStreamParameters"))
        );
        let stream = SctpStreamParameters { stream_id: 65_535, ..SctpStreamParameters::default() };
        assert!(StreamParameters::check(Some(&stream)).is_err());
        let stream = SctpStreamParameters { stream_id: 65_534, ..SctpStreamParameters::default() };
        assert!(StreamParameters::check(Some(&stream)).is_ok());
    }
}
