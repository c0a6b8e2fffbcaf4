//! The measured settings of QUIC (`research/libraries.md` §5: 2.2 GB/s and 0.8 ns/B against 1.0 and
//! 1.9 by default) and its socket.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;

use cairn_model::limits;
use quinn::{EndpointConfig, IdleTimeout, MtuDiscoveryConfig, TransportConfig, VarInt};
use rustix::net::sockopt;

use super::tuning;

/// Both sides use the same.
pub(crate) fn transport() -> Arc<TransportConfig> {
    let mut mtu = MtuDiscoveryConfig::default();
    mtu.upper_bound(tuning::MTU_MAX);
    let idle = u32::try_from(tuning::IDLE.as_millis()).unwrap_or(u32::MAX);
    let mut config = TransportConfig::default();
    config
        .mtu_discovery_config(Some(mtu))
        .enable_segmentation_offload(true)
        .stream_receive_window(VarInt::from_u32(tuning::STREAM_WINDOW))
        .receive_window(VarInt::from_u32(tuning::CONNECTION_WINDOW))
        .send_window(u64::from(tuning::CONNECTION_WINDOW))
        .max_concurrent_bidi_streams(VarInt::from_u32(limits::RPC_CALLS_PER_CONNECTION_MAX))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .datagram_receive_buffer_size(None)
        .max_idle_timeout(Some(IdleTimeout::from(VarInt::from_u32(idle))))
        .keep_alive_interval(Some(tuning::KEEP_ALIVE));
    Arc::new(config)
}

/// Takes datagrams as long as discovery may find. Longer ones nobody sends, and quinn's buffer for what it
/// receives grows with them ([`tuning::RECEIVE_BUFFER`]).
pub(crate) fn endpoint() -> EndpointConfig {
    let mut config = EndpointConfig::default();
    // Within the bounds of the setting, so the default stays only where a version changes them.
    let _ = config.max_udp_payload_size(tuning::MTU_MAX);
    config
}

/// Without large buffers packets are lost as soon as the processor is busy.
pub(crate) fn socket(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind(address)?;
    for set in [
        sockopt::set_socket_recv_buffer_size,
        sockopt::set_socket_send_buffer_size,
    ] {
        if let Err(error) = set(&socket, tuning::SOCKET_BUFFER) {
            tracing::warn!(%error, "the kernel gives no larger socket buffer");
        }
    }
    Ok(socket)
}
