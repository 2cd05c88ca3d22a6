//! Every option in all the spellings `getopt_long_only` takes, over the union of all versions' options.

use std::fs;
use std::path::PathBuf;

use ringsoup_tests::request;
use ringsoup_tests::worker::Launch;

/// Arguments that make no sense.
const EXIT_WRONG_SETTINGS: i32 = 42;
/// Settings were in order, and still it would not do.
const EXIT_START_FAILED: i32 = 40;

#[track_caller]
fn accepts(arguments: &[&str]) {
    let mut worker = Launch::with_args(arguments.iter().copied()).run();
    worker.channel.accepted(&request::worker_dump(1));
}

#[track_caller]
fn rejects(arguments: &[&str]) {
    let mut worker = Launch::with_args(arguments.iter().copied()).start();
    let frames = worker.channel.read_to_end();
    assert!(
        frames.iter().all(|frame| frame.notification().is_none()),
        "{arguments:?}: the worker says that it runs"
    );
    let status = worker.wait();
    assert_eq!(status.code(), Some(EXIT_WRONG_SETTINGS), "{arguments:?}: {}", worker.stderr());
}

#[test]
fn the_options_of_the_current_controller_are_taken() {
    accepts(&[
        "--logLevel=debug",
        "--logTag=info",
        "--logTag=ice",
        "--logTag=dtls",
        "--logTag=rtp",
        "--logTag=srtp",
        "--logTag=rtcp",
        "--logTag=rtx",
        "--logTag=bwe",
        "--logTag=score",
        "--logTag=simulcast",
        "--logTag=svc",
        "--logTag=sctp",
        "--logTag=message",
        "--rtcMinPort=10000",
        "--rtcMaxPort=59999",
        "--libwebrtcFieldTrials=WebRTC-Bwe-AlrLimitedBackoff/Disabled/",
    ]);
}

/// Whoever passes them: controllers of every version are given by their libraries what belongs to another's worker.
#[test]
fn options_of_all_versions_are_taken_from_all() {
    for version in ["3.13.0", "3.15.8", "3.19.22", "3.27.1", "3.99.0-rc.1"] {
        let options = [
            "--logLevel=warn",
            "--logTag=info",
            "-logT=rtp",
            "--disableLiburing=true",
            "--useBuiltInSctpStack=false",
            "--libwebrtcFieldTrials=WebRTC-Bwe-AlrLimitedBackoff/Enabled/",
        ];
        let mut worker = Launch::with_args(options).env("MEDIASOUP_VERSION", version).start();
        worker.channel.wait_for("running", |frame| frame.notification().is_some());
        worker.channel.close_writing();
        worker.expect_exit(0);
    }
}

#[test]
fn options_of_older_controllers_are_taken() {
    accepts(&["--disableLiburing=true", "--useBuiltInSctpStack=true"]);
    accepts(&["--useBuiltInSctpStack=false"]);
}

#[test]
fn unambiguous_prefixes_and_single_dashes_are_taken() {
    accepts(&["--logT=info", "--logTags=info", "-logTag=info", "-logTags=info"]);
    accepts(&["--logL=warn", "-logLevel=warn", "-logL=warn"]);
    accepts(&["--rtcMi=2000", "-rtcMa=3000"]);
    accepts(&["--libw=x", "--disable=true", "--use=false"]);
}

#[test]
fn ambiguous_prefixes_are_not() {
    rejects(&["--rtcM=2000"]);
    rejects(&["--log=debug"]);
    rejects(&["--dtls=x"]);
}

#[test]
fn log_levels_are_taken_in_any_case_and_must_be_known() {
    for level in ["debug", "warn", "error", "none", "DEBUG", "Warn", "eRRoR"] {
        accepts(&[&format!("--logLevel={level}")]);
    }
    rejects(&["--logLevel=chicken"]);
    rejects(&["--logLevel="]);
}

#[test]
fn unknown_log_tags_are_ignored() {
    accepts(&["--logTag=chicken", "--logTag=rtp", "--logTag="]);
}

#[test]
fn words_that_are_no_options_are_ignored() {
    accepts(&["chicken", "--logLevel=warn", "and", "egg"]);
}

#[test]
fn unknown_options_are_rejected() {
    rejects(&["--chicken=1"]);
    rejects(&["--chicken"]);
    rejects(&["-x"]);
}

/// The value is optional in the grammar only, and never the next word.
#[test]
fn a_value_must_be_given_with_an_equals_sign() {
    for option in [
        "--logLevel",
        "--logTag",
        "--rtcMinPort",
        "--rtcMaxPort",
        "--dtlsCertificateFile",
        "--dtlsPrivateKeyFile",
    ] {
        rejects(&[option]);
    }
    rejects(&["--logLevel", "debug"]);
    rejects(&["--rtcMinPort", "2000"]);
}

#[test]
fn ports_must_be_numbers_in_order() {
    accepts(&["--rtcMinPort=2000", "--rtcMaxPort=2000"]);
    accepts(&["--rtcMinPort=0", "--rtcMaxPort=9999"]);
    rejects(&["--rtcMinPort=chicken"]);
    rejects(&["--rtcMaxPort=chicken"]);
    rejects(&["--rtcMinPort=1000", "--rtcMaxPort=999"]);
    // The original keeps the low 16 bits: 65536 is 0, which is below 1000.
    rejects(&["--rtcMinPort=1000", "--rtcMaxPort=65536"]);
}

#[test]
fn a_later_value_replaces_an_earlier_one() {
    accepts(&["--rtcMinPort=2000", "--rtcMaxPort=1000", "--rtcMinPort=500"]);
}

#[test]
fn certificate_and_key_go_together_and_must_be_files() {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let certificate = folder.join("some-cert.pem");
    let key = folder.join("some-key.pem");
    fs::write(&certificate, CERTIFICATE).unwrap();
    fs::write(&key, KEY).unwrap();
    let certificate = format!("--dtlsCertificateFile={}", certificate.display());
    let key = format!("--dtlsPrivateKeyFile={}", key.display());
    accepts(&[&certificate, &key]);
    rejects(&[&certificate]);
    rejects(&[&key]);
    rejects(&["--dtlsCertificateFile=/notfound/cert.pem", &key]);
    rejects(&[&certificate, "--dtlsPrivateKeyFile=/notfound/priv.pem"]);
    rejects(&[&format!("--dtlsCertificateFile={}", folder.display()), &key]);
}

#[test]
fn files_without_a_certificate_and_its_key_keep_the_worker_from_starting() {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let file = |name: &str, text: &str| {
        let path = folder.join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let (certificate, key) = (file("good-cert.pem", CERTIFICATE), file("good-key.pem", KEY));
    let garbled = file("garbled.pem", "chicken");
    for (certificate, key) in [(&garbled, &key), (&certificate, &garbled), (&key, &certificate)] {
        let arguments =
            [format!("--dtlsCertificateFile={certificate}"), format!("--dtlsPrivateKeyFile={key}")];
        let mut worker = Launch::with_args(arguments.iter().map(String::as_str)).start();
        let frames = worker.channel.read_to_end();
        assert!(frames.iter().all(|frame| frame.notification().is_none()), "the worker says that it runs");
        assert_eq!(worker.wait().code(), Some(EXIT_START_FAILED), "{}", worker.stderr());
    }
}

/// Self-signed, made for this test; guards nothing.
const CERTIFICATE: &str = include_str!("data/cert.pem");
const KEY: &str = include_str!("data/key.pem");
