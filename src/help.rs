//! What `--help` and `--version` print.

use std::io::Write as _;

use crate::exit_code::Exit;

pub(crate) const VERSION: &str = concat!("ringsoup-worker ", env!("CARGO_PKG_VERSION"), "\n");

pub(crate) const HELP: &str = concat!(
    "ringsoup-worker ",
    env!("CARGO_PKG_VERSION"),
    "
A mediasoup worker: one process, a control thread, a shard per core.

It is started by a mediasoup library, not by hand. With Node and mediasoup 3.27:
  MEDIASOUP_WORKER_BIN=/path/to/ringsoup-worker node app.js

OPTIONS (one dash or two; a unique prefix will do; a value follows '=')
  --logLevel=debug|warn|error|none   What is told on the channel; default error
  --logTags=TAG                      Repeatable: info ice dtls rtp srtp rtcp rtx bwe score simulcast svc
                                     sctp message. Needed for debug and warn lines
  --rtcMinPort=PORT                  Ports of transports that ask for none; default 10000
  --rtcMaxPort=PORT                  default 59999
  --dtlsCertificateFile=FILE         PEM, with --dtlsPrivateKeyFile
  --dtlsPrivateKeyFile=FILE          PEM, with --dtlsCertificateFile
  --libwebrtcFieldTrials=TEXT        Accepted without effect: there is no libwebrtc inside
  --disableLiburing=BOOL             Accepted without effect: io_uring is what carries the media
  --useBuiltInSctpStack=BOOL         Accepted without effect: there is one stack
  --help, --version                  Print and exit

ENVIRONMENT
  MEDIASOUP_VERSION       Set by the library; 3.8.0 and newer are served
  RINGSOUP_SHARDS         Most shards this worker starts, 1 to 256. Default: the CPUs that affinity and
                          cgroup quota leave to it. Shards start when a router needs one; an idle worker
                          has none
  RINGSOUP_CPUS           CPUs to pin shards to, such as 0,2-3; shard i takes the i-th, around and around.
                          Default: no pinning
  RINGSOUP_COALESCE_US    How long a loaded shard waits for packets to send together, 0 to 5000
                          microseconds; default 500. An idle one never waits

LATENCY
  The time from the kernel's receive timestamp of each forwarded packet to the end of the flush that sent it is
  kept in HDR histograms per shard and per router. They are appended fields of worker.dump
  (ringsoup_shards[].latency) and router.dump (ringsoup_latency), which libraries that do not know them skip.
  Each has count, min, max, mean, p50, p90, p99 and p99.9 in microseconds, and the whole histogram in
  HdrHistogram's V2 encoding for merging. `cargo run --release -p loadtest` reads and prints them.

EXIT STATUS
  0   closed by the controller, SIGINT, SIGTERM, or the end of the channel
  40  could not start
  41  MEDIASOUP_VERSION missing or not served
  42  wrong settings
"
);

/// Prints to stdout. A closed stdout is nobody's problem.
pub(crate) fn print(text: &str) -> Exit {
    let _ = std::io::stdout().write_all(text.as_bytes());
    Exit::Closed
}
