//! Requests to the worker itself, and the gathering of shards' reports for its dump.

use ringsoup_sfu::command::{Command, CommandError};
use ringsoup_sfu::event::{LogLevel, LogTag};
use ringsoup_sfu::name::Name;
use ringsoup_sfu::reply::Reply;

use crate::message::{
    Method, Request, RequestBody, RequestId, Response, ResponseBody, ShardDump, WorkerDump,
};
use crate::placement::ShardIndex;
use crate::registry::{Birth, Kind};
use crate::settings::{LogTags, Verbosity};

use super::plan::{not_found, unknown_method};
use super::{Controller, Effect, Purpose, handler_exists};

/// A dump that waits for shards. The ids are those of the moment it was asked for.
#[derive(Debug)]
pub(super) struct Gather {
    request_id: RequestId,
    dump: Box<WorkerDump>,
    /// Shards that have not reported yet.
    outstanding: usize,
}

impl Controller {
    pub(super) fn handle_worker_request(
        &mut self,
        request: Request,
        out: &mut Vec<Effect>,
    ) -> Result<(), CommandError> {
        let Request { id, method, body, .. } = request;
        match (method, body?) {
            (Method::WorkerClose, _) => {
                let result = Ok(ResponseBody::Shard(Reply::Done));
                out.push(Effect::Respond(Response { id, result }));
                out.push(Effect::Close);
            }
            (Method::WorkerDump, _) => self.start_dump(id, out),
            (Method::WorkerGetResourceUsage, _) => out.push(Effect::MeasureUsage { request_id: id }),
            (Method::WorkerUpdateSettings, RequestBody::UpdateSettings { log_level, log_tags }) => {
                self.update_settings(log_level.as_deref(), log_tags, out)?;
                let result = Ok(ResponseBody::Shard(Reply::Done));
                out.push(Effect::Respond(Response { id, result }));
            }
            (Method::WorkerCreateRouter, RequestBody::CreateRouter { router }) => {
                self.create_router(id, router, out)?;
            }
            (Method::WorkerCloseRouter, RequestBody::CloseRouter { router }) => {
                self.close_router(id, router, out)?;
            }
            (Method::WorkerCreateWebRtcServer, RequestBody::CreateWebRtcServer { server, listen_infos }) => {
                self.create_webrtc_server(id, server, listen_infos, out)?
            }
            (Method::WorkerCloseWebRtcServer, RequestBody::CloseWebRtcServer { server }) => {
                self.close_webrtc_server(id, &server, out)?;
            }
            _ => return Err(unknown_method(method)),
        }
        Ok(())
    }

    fn create_router(
        &mut self,
        id: RequestId,
        router: Name,
        out: &mut Vec<Effect>,
    ) -> Result<(), CommandError> {
        let method = Method::WorkerCreateRouter;
        match self.registry.find(&router).map(|found| found.kind) {
            None => {}
            Some(Kind::Router) => {
                let reason = format!("a Router with same routerId already exists [method:{}]", method.name());
                return Err(CommandError::error(reason));
            }
            Some(_) => return Err(handler_exists(&router)),
        }
        let shard = self.placement.place(self.registry.loads());
        self.registry.insert_router(&router, shard, Birth(self.next_token));
        self.ask(shard, id, method, Some(router.clone()), Command::CreateRouter { router }, out);
        Ok(())
    }

    fn close_router(
        &mut self,
        id: RequestId,
        router: Name,
        out: &mut Vec<Effect>,
    ) -> Result<(), CommandError> {
        let method = Method::WorkerCloseRouter;
        let Some(found) = self.registry.find(&router).filter(|found| found.kind == Kind::Router) else {
            return Err(not_found("Router", method));
        };
        let command = Command::CloseRouter { router: router.clone() };
        let token = self.ask(found.shard, id, method, None, command, out);
        self.forget_closing(&router, found.shard, token, out);
        Ok(())
    }

    fn update_settings(
        &mut self,
        log_level: Option<&str>,
        log_tags: Option<Vec<String>>,
        out: &mut Vec<Effect>,
    ) -> Result<(), CommandError> {
        if let Some(level) = log_level {
            self.log.verbosity = Verbosity::parse(level)
                .ok_or_else(|| CommandError::type_error(format!("invalid value '{level}' for logLevel")))?;
        }
        if let Some(tags) = log_tags {
            self.log.tags = LogTags::from_names(tags.iter().map(String::as_str));
        }
        self.log_settings(out);
        Ok(())
    }

    /// Tells what is logged from now on.
    pub fn log_settings(&self, out: &mut Vec<Effect>) {
        let tags: Vec<&str> = self.log.tags.names().collect();
        let text = format!(
            "Controller::log_settings() | logLevel: {}, logTags: {}",
            self.log.verbosity.name(),
            tags.join(",")
        );
        self.log(LogLevel::Debug, LogTag::Info, &text, out);
    }

    fn start_dump(&mut self, request_id: RequestId, out: &mut Vec<Effect>) {
        let started: Vec<ShardIndex> = (0..)
            .zip(&self.started)
            .filter(|(_, started)| **started)
            .map(|(index, _)| ShardIndex(index))
            .collect();
        let gather = self.next_token;
        let dump = Box::new(WorkerDump {
            pid: self.pid,
            web_rtc_servers: self.registry.webrtc_servers(),
            routers: self.registry.routers(),
            request_handlers: self.registry.request_handlers(),
            notification_handlers: self.registry.notification_handlers(),
            payload_request_handlers: self.registry.payload_request_handlers(),
            shards: (0..).zip(&self.started).map(|(index, _)| ShardDump { index, report: None }).collect(),
        });
        if started.is_empty() {
            let result = Ok(ResponseBody::WorkerDump(dump));
            return out.push(Effect::Respond(Response { id: request_id, result }));
        }
        self.gathers.insert(gather, Gather { request_id, dump, outstanding: started.len() });
        for shard in started {
            self.send(shard, Purpose::ShardReport { gather }, Command::ReportShard, out);
        }
    }

    /// What control holds beside the registry, whose names a dump lists.
    fn held(&self) -> [(&'static str, u64); 5] {
        let [pipes, pipe_names, pipe_addresses] = self.local_pipes.counts();
        [
            ("control_pipes", pipes as u64),
            ("control_pipe_names", pipe_names as u64),
            ("control_pipe_addresses", pipe_addresses as u64),
            ("control_webrtc_servers", self.webrtc_servers.count() as u64),
            // Commands that are not answered yet, and requests that wait for several.
            ("control_pending", (self.pending.len() + self.gathers.len() + self.server_gathers.len()) as u64),
        ]
    }

    /// One shard's part of a dump has come, or will not come any more.
    pub(super) fn gathered(
        &mut self,
        key: u64,
        shard: ShardIndex,
        result: Result<Reply, CommandError>,
        out: &mut Vec<Effect>,
    ) {
        let Some(gather) = self.gathers.get_mut(&key) else {
            return;
        };
        if let (Ok(Reply::ShardReport(report)), Some(part)) =
            (result, gather.dump.shards.get_mut(usize::from(shard.0)))
        {
            part.report = Some(report);
        }
        gather.outstanding -= 1;
        if gather.outstanding > 0 {
            return;
        }
        if let Some(Gather { request_id, mut dump, .. }) = self.gathers.remove(&key) {
            // They are of the whole worker, and stand once: with the first shard that reported.
            if let Some(report) = dump.shards.iter_mut().find_map(|shard| shard.report.as_mut()) {
                report.io.extend(self.held());
            }
            out.push(Effect::Respond(Response {
                id: request_id,
                result: Ok(ResponseBody::WorkerDump(dump)),
            }));
        }
    }
}
