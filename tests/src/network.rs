//! A network of the test's own: one namespace for each process, a switch between them, and a packet
//! filter in the switch that cuts it, one way or both.
//!
//! ```text
//!  namespace 0       namespace 1            the test
//!  10.213.N.1        10.213.N.2   …         10.213.N.254
//!      │ eth0            │ eth0                 │
//!      └───── p0 ────────┴─── p1 ── bridge ─────┘      nftables, family bridge, hook forward
//! ```
//!
//! Needs root, `ip` and `nft`. Names carry the test's process id, so that what a killed test left
//! behind is known and swept away by the next.

use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{Command, Stdio};

/// What every name begins with.
const PREFIX: &str = "cairn";
/// Last number of the test's own address.
const TEST_HOST: u8 = 254;

/// A network; taken down when dropped.
#[derive(Debug)]
pub struct Network {
    process: u32,
    hosts: u8,
}

impl Network {
    /// A network of `hosts` namespaces.
    ///
    /// # Errors
    /// Why this machine cannot, in words.
    pub fn new(hosts: u8) -> Result<Self, String> {
        if !rustix::process::geteuid().is_root() {
            return Err("not root: no network namespaces".to_owned());
        }
        sweep();
        let process = std::process::id();
        let network = Self { process, hosts };
        network.build()?;
        Ok(network)
    }

    fn build(&self) -> Result<(), String> {
        let (switch, outside) = (self.switch(), self.outside());
        ip(&format!("netns add {switch}"))?;
        ip(&format!("-n {switch} link add bridge0 type bridge"))?;
        ip(&format!("-n {switch} link set bridge0 up"))?;
        for host in 0..self.hosts {
            let name = self.namespace(host);
            let address = self.address(host);
            ip(&format!("netns add {name}"))?;
            ip(&format!("-n {name} link set lo up"))?;
            let pair = format!("p{host} netns {switch} type veth peer name eth0 netns {name}");
            ip(&format!("link add {pair}"))?;
            ip(&format!("-n {switch} link set p{host} master bridge0 up"))?;
            ip(&format!("-n {name} addr add {address}/24 dev eth0"))?;
            ip(&format!("-n {name} link set eth0 up"))?;
        }
        let pair = format!("{outside} type veth peer name outside netns {switch}");
        ip(&format!("link add {pair}"))?;
        ip(&format!("-n {switch} link set outside master bridge0 up"))?;
        let own = self.numbered(TEST_HOST);
        ip(&format!("addr add {own}/24 dev {outside}"))?;
        ip(&format!("link set {outside} up"))?;
        self.filter("add table bridge cut")?;
        let hook = "{ type filter hook forward priority 0; policy accept; }";
        self.filter(&format!("add chain bridge cut forward {hook}"))
    }

    /// Where a host's process listens.
    #[must_use]
    pub fn address(&self, host: u8) -> Ipv4Addr {
        self.numbered(host + 1)
    }

    /// The command line under which a program runs on a host.
    #[must_use]
    pub fn wrapper(&self, host: u8) -> Vec<String> {
        let namespace = format!("--net=/run/netns/{}", self.namespace(host));
        vec!["nsenter".to_owned(), namespace]
    }

    /// Drops every packet from one of `from` to one of `to`; the other way stays open.
    ///
    /// # Panics
    /// Where the packet filter refuses.
    pub fn cut_one_way(&self, from: &[u8], to: &[u8]) {
        let list = |hosts: &[u8]| {
            let addresses: Vec<String> = hosts
                .iter()
                .map(|host| self.address(*host).to_string())
                .collect();
            addresses.join(", ")
        };
        let (from, to) = (list(from), list(to));
        let rule = format!("ip saddr {{ {from} }} ip daddr {{ {to} }} drop");
        self.filter(&format!("add rule bridge cut forward {rule}"))
            .expect("the packet filter takes a rule");
    }

    /// Drops every packet between one of `some` and one of `others`.
    ///
    /// # Panics
    /// Where the packet filter refuses.
    pub fn cut(&self, some: &[u8], others: &[u8]) {
        self.cut_one_way(some, others);
        self.cut_one_way(others, some);
    }

    /// Lets every packet through again.
    ///
    /// # Panics
    /// Where the packet filter refuses.
    pub fn heal(&self) {
        self.filter("flush chain bridge cut forward")
            .expect("the packet filter is emptied");
    }

    fn filter(&self, command: &str) -> Result<(), String> {
        let switch = self.switch();
        let mut filter = Command::new("nsenter");
        filter.arg(format!("--net=/run/netns/{switch}"));
        done(filter.args(["nft", command]))
    }

    fn switch(&self) -> String {
        format!("{PREFIX}-{}-switch", self.process)
    }

    fn namespace(&self, host: u8) -> String {
        format!("{PREFIX}-{}-{host}", self.process)
    }

    /// Name of the test's end of the line; at most 15 bytes.
    fn outside(&self) -> String {
        format!("{PREFIX}{}", self.process)
    }

    fn numbered(&self, last: u8) -> Ipv4Addr {
        let third = u8::try_from(self.process % 250).unwrap_or(0);
        Ipv4Addr::new(10, 213, third, last)
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        let _ = ip(&format!("link del {}", self.outside()));
        for host in 0..self.hosts {
            let _ = ip(&format!("netns del {}", self.namespace(host)));
        }
        let _ = ip(&format!("netns del {}", self.switch()));
    }
}

/// Deletes the namespaces of tests whose process is no more.
fn sweep() {
    let Ok(entries) = std::fs::read_dir("/run/netns") else {
        return;
    };
    for name in entries.flatten().map(|entry| entry.file_name()) {
        let name = name.to_string_lossy();
        if owner(&name).is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists()) {
            let _ = ip(&format!("netns del {name}"));
        }
    }
}

/// The process id in the name of a namespace of ours.
fn owner(namespace: &str) -> Option<u32> {
    let rest = namespace.strip_prefix(PREFIX)?.strip_prefix('-')?;
    rest.split_once('-')?.0.parse().ok()
}

fn ip(arguments: &str) -> Result<(), String> {
    done(Command::new("ip").args(arguments.split(' ')))
}

fn done(command: &mut Command) -> Result<(), String> {
    let output = command.stdin(Stdio::null()).output();
    let output = output.map_err(|why| format!("{command:?}: {why}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("{command:?}: {}", said.trim()))
}

#[cfg(test)]
mod tests;
