//! The plainest options of what tests create, shared by the unit tests and by those in `tests/`.

use std::net::{IpAddr, Ipv4Addr};

use ringsoup_sfu::command::{ListenInfo, Protocol, TransportOptions};

/// Any free port of loopback.
pub(crate) fn listen_info() -> ListenInfo {
    ListenInfo {
        protocol: Protocol::Udp,
        ip: IpAddr::V4(Ipv4Addr::LOCALHOST),
        announced_address: None,
        expose_internal_ip: false,
        port: 0,
        port_range: (0, 0),
        ipv6_only: false,
        udp_reuse_port: false,
        send_buffer_size: 0,
        recv_buffer_size: 0,
    }
}

/// Without SCTP.
pub(crate) fn transport_options() -> TransportOptions {
    TransportOptions {
        direct: false,
        initial_available_outgoing_bitrate: None,
        enable_sctp: false,
        max_send_message_size: 0,
        max_receive_message_size: 0,
        sctp_send_buffer_size: 0,
        sctp_per_stream_send_queue_limit: 0,
        sctp_max_receiver_window_buffer_size: 0,
        sctp_default_stream_buffered_amount_low_threshold: 0,
        num_sctp_streams: None,
        is_data_channel: false,
    }
}
