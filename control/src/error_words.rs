//! How a controller is told why its request failed: the class and the reason, in the words of its version.
//!
//! Inside, errors are made as the newest version has them. Versions before 3.21.0 put the method behind every reason and
//! know no class for what is not found; those before 3.10.6 have other words for an object that is not there.

use ringsoup_sfu::command::{CommandError, ErrorClass};

use crate::method::Method;
use crate::wire;

/// What stands before the method in a reason.
const METHOD: &str = " [method:";

#[derive(Debug, Clone)]
pub struct ErrorWords {
    /// What is not found has a class of its own; without one it is a plain `Error`.
    pub not_found_is_a_class: bool,
    /// The method stands behind every reason, and not only where the newest version has it.
    pub method_behind_all: bool,
    pub method_name: fn(Method) -> &'static str,
    pub unknown_handler: UnknownHandler,
    /// Producers' names have their router's behind them, which the controller does not know.
    pub names_have_routers: bool,
}

/// What is said of an object that does not exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnknownHandler {
    /// Its id.
    ById,
    /// What kind of object was meant.
    ByKind,
}

impl ErrorWords {
    pub const NEWEST: Self = Self {
        not_found_is_a_class: true,
        method_behind_all: false,
        method_name: Method::name,
        unknown_handler: UnknownHandler::ById,
        names_have_routers: false,
    };

    /// The object that a request is for does not exist.
    pub fn unknown_handler(&self, method: Method, handler_id: &str) -> CommandError {
        let what = match self.unknown_handler {
            UnknownHandler::ById => format!("Channel request handler with ID {handler_id}"),
            UnknownHandler::ByKind => method.addressee().to_owned(),
        };
        CommandError::not_found(format!("{what} not found{METHOD}{}]", method.name()))
    }

    /// An error in the newest version's words, in this one's.
    pub fn tell(&self, method: Method, mut error: CommandError) -> CommandError {
        if !self.not_found_is_a_class && error.class == ErrorClass::NotFound {
            error.class = ErrorClass::Error;
        }
        if self.method_behind_all && !is_told_as_it_is(method) {
            if error.reason.ends_with(']')
                && let Some(at) = error.reason.rfind(METHOD)
            {
                error.reason.truncate(at);
            }
            error.reason.push_str(METHOD);
            error.reason.push_str((self.method_name)(method));
            error.reason.push(']');
        }
        error.reason = self.names_in(error.reason);
        error
    }

    /// A text with the names that the controller knows.
    pub fn names_in(&self, text: String) -> String {
        if self.names_have_routers { wire::in_plain_names(&text) } else { text }
    }
}

impl Default for ErrorWords {
    fn default() -> Self {
        Self::NEWEST
    }
}

/// Whose errors no version has put the method behind.
fn is_told_as_it_is(method: Method) -> bool {
    matches!(method, Method::WorkerDump | Method::WorkerGetResourceUsage | Method::WorkerUpdateSettings)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::behaviour::Behaviour;
    use crate::version::Version;

    fn told(version: &str, method: Method, error: CommandError) -> (ErrorClass, String) {
        let words = Behaviour::of(Version::parse(version).unwrap()).errors;
        let error = words.tell(method, error);
        (error.class, error.reason)
    }

    #[test]
    fn the_method_stands_behind_every_reason_before_3_21() {
        let error = || CommandError::type_error("missing ip");
        for (version, reason) in [
            ("3.27.1", "missing ip"),
            ("3.21.0", "missing ip"),
            ("3.19.22", "missing ip [method:plainTransport.connect]"),
            ("3.13.0", "missing ip [method:plainTransport.connect]"),
            ("3.12.16", "missing ip [method:transport.connect]"),
            ("3.8.4", "missing ip [method:transport.connect]"),
        ] {
            let expected = (ErrorClass::TypeError, reason.to_owned());
            assert_eq!(told(version, Method::PlainTransportConnect, error()), expected, "{version}");
        }
    }

    #[test]
    fn the_method_stands_there_once_under_its_name_of_that_version() {
        let method = Method::RouterCloseTransport;
        for (version, class, reason) in [
            ("3.21.0", ErrorClass::NotFound, "Transport not found [method:router.closeTransport]"),
            ("3.19.22", ErrorClass::Error, "Transport not found [method:router.closeTransport]"),
            ("3.10.6", ErrorClass::Error, "Transport not found [method:router.closeTransport]"),
            ("3.10.5", ErrorClass::Error, "Transport not found [method:transport.close]"),
        ] {
            let error = CommandError::not_found("Transport not found [method:router.closeTransport]");
            assert_eq!(told(version, method, error), (class, reason.to_owned()), "{version}");
        }
        // Another bracket is not the method's.
        let error = CommandError::not_found("Producer not found [producerId:p]");
        let reason = "Producer not found [producerId:p] [method:transport.consume]";
        assert_eq!(told("3.19.22", Method::TransportConsume, error), (ErrorClass::Error, reason.into()));
    }

    #[test]
    fn producers_are_told_without_their_routers() {
        let error = || CommandError::not_found("Producer not found [producerId:p\u{1f}router]");
        for (version, id) in
            [("3.8.4", "p"), ("3.10.5", "p"), ("3.10.6", "p\u{1f}router"), ("3.27.1", "p\u{1f}router")]
        {
            let (_, reason) = told(version, Method::TransportConsume, error());
            assert!(
                reason.starts_with(&format!("Producer not found [producerId:{id}]")),
                "{version}: {reason}"
            );
        }
    }

    #[test]
    fn settings_are_refused_without_it() {
        let error = CommandError::type_error("invalid value 'x' for logLevel");
        let expected = (ErrorClass::TypeError, error.reason.clone());
        assert_eq!(told("3.19.22", Method::WorkerUpdateSettings, error), expected);
    }

    #[test]
    fn an_unknown_handler_is_told_by_id_and_before_3_10_6_by_kind() {
        let refused = |version: &str, method| {
            let words = Behaviour::of(Version::parse(version).unwrap()).errors;
            let error = words.tell(method, words.unknown_handler(method, "x"));
            (error.class, error.reason)
        };
        let by_id = "Channel request handler with ID x not found [method:producer.pause]".to_owned();
        assert_eq!(refused("3.21.2", Method::ProducerPause), (ErrorClass::NotFound, by_id.clone()));
        assert_eq!(refused("3.19.22", Method::ProducerPause), (ErrorClass::Error, by_id.clone()));
        assert_eq!(refused("3.10.6-rc.1", Method::ProducerPause), (ErrorClass::Error, by_id));
        for (method, reason) in [
            (Method::ProducerPause, "Producer not found [method:producer.pause]"),
            (Method::RouterDump, "Router not found [method:router.dump]"),
            (Method::RouterCloseTransport, "Router not found [method:transport.close]"),
            (Method::PipeTransportConnect, "Transport not found [method:transport.connect]"),
            (Method::DataConsumerSend, "DataConsumer not found [method:dataConsumer.send]"),
            (Method::WebRtcServerDump, "WebRtcServer not found [method:webRtcServer.dump]"),
        ] {
            assert_eq!(refused("3.10.5", method), (ErrorClass::Error, reason.to_owned()));
        }
    }
}
