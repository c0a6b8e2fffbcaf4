//! Certificates say who their owner is, and nothing else is taken for one.

use super::*;
use cairn_world::sim::SimEntropy;

const CLUSTER: ClusterId = ClusterId([0xab; 16]);

fn key(seed: u64) -> NodeKey {
    NodeKey::draw(&SimEntropy::new(seed)).unwrap()
}

fn ca() -> ClusterCa {
    ClusterCa::new(CLUSTER, key(1)).unwrap()
}

#[test]
fn a_certificate_names_its_owner() {
    for roles in [vec![], vec![Role::Gateway], Role::ALL.to_vec()] {
        let roles = Roles::of(&roles);
        let issued = ca().issue(NodeId(42), key(2).public(), roles).unwrap();
        let again = Certificate::from_pem(issued.pem()).unwrap();
        assert_eq!(again, issued);
        let owner = Peer {
            cluster: CLUSTER,
            node: NodeId(42),
            key: key(2).public(),
            roles,
        };
        assert_eq!(again.owner(), Ok(owner));
    }
}

#[test]
fn keys_come_from_the_entropy_and_round_trip() {
    assert_eq!(key(3).public(), key(3).public());
    assert_ne!(key(3).public(), key(4).public());
    let again = NodeKey::from_pem(&key(3).to_pem()).unwrap();
    assert_eq!(again.public(), key(3).public());
    let shown = format!("{:?}", key(3));
    assert!(!shown.contains("PRIVATE") && shown.len() < 90, "{shown}");
}

/// RFC 8032 §7.1, test 1: the seed and its public key.
#[test]
fn the_public_key_is_the_seeds() {
    #[derive(Debug)]
    struct Fixed([u8; 32]);
    impl cairn_world::Entropy for Fixed {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.copy_from_slice(&self.0);
        }
    }
    let seed = cairn_model::Sha256::from_hex(
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
    );
    let drawn = NodeKey::draw(&Fixed(seed.unwrap().0)).unwrap();
    assert_eq!(
        format!("{:?}", drawn.public()),
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
    );
}

#[test]
fn refuses_keys_and_certificates_that_are_none() {
    for text in [
        "",
        "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
    ] {
        assert_eq!(NodeKey::from_pem(text).unwrap_err(), IdentityError::Key);
        assert!(Certificate::from_pem(text).is_err());
    }
    let ecdsa = rcgen::KeyPair::generate().unwrap().serialize_pem();
    assert_eq!(NodeKey::from_pem(&ecdsa).unwrap_err(), IdentityError::Key);
    assert!(
        ca().certificate().owner().is_err(),
        "an authority is no node"
    );
}

#[test]
fn refuses_an_identity_whose_key_is_anothers() {
    let issued = ca().issue(NodeId(1), key(2).public(), Roles::NONE).unwrap();
    let made = super::super::Identity::new(&issued, &key(3), ca().certificate());
    assert!(matches!(made, Err(IdentityError::Mismatch(_))), "{made:?}");
}

fn names(names: &[&str]) -> Option<(NodeId, ClusterId, Roles)> {
    read_names(names.iter().copied())
}

#[test]
fn refuses_names_that_are_not_those_of_one_node_of_one_cluster() {
    let here = CLUSTER.to_string();
    let node = format!("000000000000002a.node.{here}.cairn");
    let role = format!("gateway.role.{here}.cairn");
    let gateway = Roles::of(&[Role::Gateway]);
    assert_eq!(names(&[&node, &role]), Some((NodeId(42), CLUSTER, gateway)));
    let elsewhere = ClusterId([1; 16]).to_string();
    let wrong = [
        vec![],
        vec![role.clone()],
        vec![node.clone(), node.clone()],
        vec![node.clone(), format!("gateway.role.{elsewhere}.cairn")],
        vec![node.clone(), format!("king.role.{here}.cairn")],
        vec![node.clone(), format!("gateway.rank.{here}.cairn")],
        vec![node.clone(), "localhost".to_owned()],
        vec![format!("2a.node.{here}.cairn")],
        vec![format!("000000000000002A.node.{here}.cairn")],
        vec![format!("000000000000002a.node.{here}.cairn.org")],
        vec![format!(
            "000000000000002a.node.{}.cairn",
            here.to_uppercase()
        )],
    ];
    for list in wrong {
        let list: Vec<&str> = list.iter().map(String::as_str).collect();
        assert_eq!(names(&list), None, "{list:?}");
    }
}

#[test]
fn the_anchor_made_of_a_key_is_that_of_the_authoritys_certificate() {
    let of_key = authority::anchor(CLUSTER, key(1).public());
    let authority = ca();
    let of_certificate = webpki::anchor_from_trusted_cert(authority.certificate().der()).unwrap();
    assert_eq!(of_key.subject, of_certificate.subject);
    assert_eq!(
        of_key.subject_public_key_info,
        of_certificate.subject_public_key_info
    );
}

#[test]
fn roles_are_the_bits_that_metadata_writes() {
    use cairn_wire::metadata::Role as Written;
    for (role, written) in [
        (Role::Gateway, Written::Gateway),
        (Role::StorageNode, Written::Storage),
        (Role::MetadataVoter, Written::Metadata),
    ] {
        let set = Roles::of(&[role]);
        assert_eq!(set.bits(), written as u32);
        assert_eq!(Roles::of_bits(set.bits()), Some(set));
    }
    assert_eq!(Roles::of_bits(8), None);
    assert_eq!(Roles::of_bits(256), None);
}
