use std::net::UdpSocket;
use std::os::fd::AsFd as _;
use std::time::Duration;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::*;
use crate::skip;

const PORT: u16 = 4_433;

/// A socket that lives on a host: a thread enters its namespace and binds there.
fn socket_on(network: &Network, host: u8) -> UdpSocket {
    let path = format!("/run/netns/{}", network.namespace(host));
    let address = network.address(host);
    std::thread::spawn(move || {
        let namespace = std::fs::File::open(path).unwrap();
        let kind = Some(LinkNameSpaceType::Network);
        move_into_link_name_space(namespace.as_fd(), kind).unwrap();
        let socket = UdpSocket::bind((address, PORT)).unwrap();
        let patience = Some(Duration::from_millis(300));
        socket.set_read_timeout(patience).unwrap();
        socket
    })
    .join()
    .unwrap()
}

/// Whether a packet arrives.
fn arrives(network: &Network, from: &UdpSocket, to: &UdpSocket, to_host: u8) -> bool {
    from.send_to(b"x", (network.address(to_host), PORT))
        .unwrap();
    to.recv_from(&mut [0; 8]).is_ok()
}

#[test]
fn is_cut_one_way_and_both_and_healed() {
    let network = match Network::new(3) {
        Ok(network) => network,
        Err(why) => return skip::machine(&why),
    };
    let sockets = [0, 1, 2].map(|host| socket_on(&network, host));
    let passes = |from: usize, to: usize| {
        arrives(
            &network,
            &sockets[from],
            &sockets[to],
            u8::try_from(to).unwrap(),
        )
    };
    assert!(passes(0, 1) && passes(1, 0) && passes(2, 1));
    network.cut_one_way(&[0], &[1]);
    assert!(!passes(0, 1) && passes(1, 0) && passes(2, 1) && passes(0, 2));
    network.heal();
    assert!(passes(0, 1) && passes(1, 0));
    network.cut(&[0, 1], &[2]);
    assert!(passes(0, 1) && passes(1, 0));
    assert!(!passes(0, 2) && !passes(2, 0) && !passes(1, 2) && !passes(2, 1));
    network.heal();
    assert!(passes(0, 2) && passes(2, 1));
    let names = [network.namespace(0), network.switch()];
    drop(network);
    for name in names {
        assert!(!Path::new(&format!("/run/netns/{name}")).exists(), "{name}");
    }
}

#[test]
fn what_a_dead_test_left_is_known_by_its_name() {
    assert_eq!(owner("cairn-812-switch"), Some(812));
    assert_eq!(owner("cairn-812-3"), Some(812));
    for stranger in ["cairn-x-3", "cairn-812", "docker-1-2", "cairn"] {
        assert_eq!(owner(stranger), None, "{stranger}");
    }
}

#[test]
fn a_device_name_is_short_enough() {
    let network = Network {
        process: 4_194_304,
        hosts: 0,
    };
    assert!(network.outside().len() <= 15);
    std::mem::forget(network);
}
