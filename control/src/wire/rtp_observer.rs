//! Observers of both kinds: their options, their producers, and what they tell.

use ringsoup_fbs::fbs::router::{
    CloseRtpObserverRequest, CreateActiveSpeakerObserverRequest, CreateAudioLevelObserverRequest,
};
use ringsoup_fbs::fbs::{active_speaker_observer, audio_level_observer, rtp_observer};
use ringsoup_sfu::command::{ActiveSpeakerObserverOptions, AudioLevelObserverOptions, CommandError};
use ringsoup_sfu::name::Name;

use super::{Builder, Union, tables};
use crate::message::RequestBody;

pub(super) fn create_active_speaker(
    body: CreateActiveSpeakerObserverRequest<'_>,
) -> Result<RequestBody, CommandError> {
    let options = ActiveSpeakerObserverOptions { interval_ms: body.options().interval() };
    Ok(RequestBody::CreateActiveSpeakerObserver { observer: body.rtp_observer_id().into(), options })
}

pub(super) fn create_audio_level(
    body: CreateAudioLevelObserverRequest<'_>,
) -> Result<RequestBody, CommandError> {
    let options = body.options();
    let options = AudioLevelObserverOptions {
        max_entries: options.max_entries(),
        threshold: options.threshold(),
        interval_ms: options.interval(),
    };
    Ok(RequestBody::CreateAudioLevelObserver { observer: body.rtp_observer_id().into(), options })
}

pub(super) fn close(body: CloseRtpObserverRequest<'_>) -> Result<RequestBody, CommandError> {
    Ok(RequestBody::CloseRtpObserver { observer: body.rtp_observer_id().into() })
}

pub(super) fn add_producer(body: rtp_observer::AddProducerRequest<'_>) -> Result<RequestBody, CommandError> {
    Ok(RequestBody::ObserverProducer { producer: body.producer_id().into() })
}

pub(super) fn remove_producer(
    body: rtp_observer::RemoveProducerRequest<'_>,
) -> Result<RequestBody, CommandError> {
    Ok(RequestBody::ObserverProducer { producer: body.producer_id().into() })
}

pub(super) fn dominant_speaker_notification(builder: &mut Builder, producer: &str) -> Union {
    let producer_id = Some(builder.create_string(producer));
    let args = active_speaker_observer::DominantSpeakerNotificationArgs { producer_id };
    active_speaker_observer::DominantSpeakerNotification::create(builder, &args).as_union_value()
}

pub(super) fn volumes_notification(builder: &mut Builder, volumes: &[(Name, i8)]) -> Union {
    let volumes = Some(tables(builder, volumes, |builder, (producer, volume)| {
        let producer_id = Some(builder.create_string(producer));
        let args = audio_level_observer::VolumeArgs { producer_id, volume: *volume };
        audio_level_observer::Volume::create(builder, &args)
    }));
    let args = audio_level_observer::VolumesNotificationArgs { volumes };
    audio_level_observer::VolumesNotification::create(builder, &args).as_union_value()
}
