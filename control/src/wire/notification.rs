//! Notifications of the controller.

use ringsoup_fbs::fbs::notification as wire;
use ringsoup_sfu::command::CommandError;

use super::data_producer;
use crate::message::{DecodeError, Notification, NotificationBody};

pub(super) fn decode(notification: wire::Notification<'_>) -> Result<Notification, DecodeError> {
    let failed = |error| DecodeError { request_id: None, error };
    let wrong_body = |event: &str| failed(CommandError::type_error(format!("wrong body for {event}")));
    let body = match notification.event() {
        wire::Event::WORKER_CLOSE => NotificationBody::WorkerClose,
        wire::Event::TRANSPORT_SEND_RTCP => {
            let body = notification.body_as_transport_send_rtcp_notification();
            let body = body.ok_or_else(|| wrong_body("transport.sendRtcp"))?;
            NotificationBody::TransportSendRtcp(body.data().bytes().to_vec())
        }
        wire::Event::PRODUCER_SEND => {
            let body = notification.body_as_producer_send_notification();
            let body = body.ok_or_else(|| wrong_body("producer.send"))?;
            NotificationBody::ProducerSend(body.data().bytes().to_vec())
        }
        wire::Event::DATAPRODUCER_SEND => {
            let body = notification.body_as_data_producer_send_notification();
            let body = body.ok_or_else(|| wrong_body("dataProducer.send"))?;
            NotificationBody::DataProducerSend(Box::new(data_producer::send(body)))
        }
        wire::Event(number) => return Err(failed(CommandError::error(format!("unknown event '{number}'")))),
    };
    Ok(Notification { handler_id: notification.handler_id().to_owned(), body })
}
