//! From what a controller asks to listen on to a socket: which port, with which options, all or nothing.

use ringsoup_rtc::ice::CandidateProtocol;
use ringsoup_rtc::ice::candidate::{Candidate, Offered};

use crate::command::{CommandError, ListenInfo, Protocol};
use crate::sockets::{BindError, BoundSocket, ListenRequest, PortChoice, Sockets, TcpListen, UdpBind};

impl From<BindError> for CommandError {
    fn from(error: BindError) -> Self {
        Self::error(error.to_string())
    }
}

/// # Errors
/// A range that ends before it begins.
pub fn request(info: &ListenInfo, worker_ports: (u16, u16)) -> Result<ListenRequest, CommandError> {
    Ok(match info.protocol {
        Protocol::Udp => ListenRequest::Udp(udp(info, worker_ports)?),
        Protocol::Tcp => ListenRequest::Tcp(TcpListen {
            ip: info.ip,
            port: port_choice(info, worker_ports)?,
            ipv6_only: info.ipv6_only,
            send_buffer_size: info.send_buffer_size,
            recv_buffer_size: info.recv_buffer_size,
        }),
    })
}

/// # Errors
/// A range that ends before it begins.
pub fn udp(info: &ListenInfo, worker_ports: (u16, u16)) -> Result<UdpBind, CommandError> {
    Ok(UdpBind {
        ip: info.ip,
        port: port_choice(info, worker_ports)?,
        ipv6_only: info.ipv6_only,
        reuse_port: info.udp_reuse_port,
        send_buffer_size: info.send_buffer_size,
        recv_buffer_size: info.recv_buffer_size,
    })
}

fn port_choice(info: &ListenInfo, worker_ports: (u16, u16)) -> Result<PortChoice, CommandError> {
    let (min, max) = worker_ports;
    let choice = asked_port(info).unwrap_or(PortChoice::Range { min, max });
    if matches!(choice, PortChoice::Range { min, max } if max < min) {
        return Err(CommandError::type_error("maxPort cannot be less than minPort"));
    }
    Ok(choice)
}

/// The port or range that is asked for; `None` leaves it to the worker's.
pub fn asked_port(info: &ListenInfo) -> Option<PortChoice> {
    match (info.port_range, info.port) {
        ((min, max), _) if min != 0 && max != 0 => Some(PortChoice::Range { min, max }),
        (_, 0) => None,
        (_, port) => Some(PortChoice::Fixed(port)),
    }
}

/// Binds them in order.
///
/// # Errors
/// The first that cannot be had; nothing stays bound then.
pub(crate) fn bind_all(
    infos: &[ListenInfo],
    worker_ports: (u16, u16),
    sockets: &mut dyn Sockets,
) -> Result<Vec<BoundSocket>, CommandError> {
    let mut bound: Vec<BoundSocket> = Vec::with_capacity(infos.len());
    for info in infos {
        match request(info, worker_ports).and_then(|request| Ok(sockets.listen(&request)?)) {
            Ok(socket) => bound.push(socket),
            Err(error) => {
                bound.iter().for_each(|socket| sockets.close(socket.id));
                return Err(error);
            }
        }
    }
    Ok(bound)
}

/// What peers are told of a bound address, the `index`th of those listened on.
pub fn candidates(
    index: usize,
    info: &ListenInfo,
    local: std::net::SocketAddr,
    preferred: bool,
) -> impl Iterator<Item = Candidate> + use<> {
    let offered = Offered {
        protocol: match info.protocol {
            Protocol::Udp => CandidateProtocol::Udp,
            Protocol::Tcp => CandidateProtocol::Tcp,
        },
        local,
        announced: info.announced_address.as_deref(),
        expose_internal_ip: info.expose_internal_ip,
        preferred,
    };
    Candidate::of(index, &offered)
}
