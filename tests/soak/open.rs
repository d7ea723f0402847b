//! What a process has open, in words: for the moment when it should have less.

use std::collections::BTreeMap;
use std::path::PathBuf;

/// Links of all descriptors, sorted; of TCP sockets both ports.
pub(super) fn descriptors(pid: u32) -> Vec<String> {
    let process = PathBuf::from(format!("/proc/{pid}"));
    let sockets = std::fs::read_to_string(process.join("net/tcp")).unwrap_or_default();
    let sockets: BTreeMap<&str, String> = sockets
        .lines()
        .skip(1)
        .filter_map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let ports = format!("{} -> {}", port(words.get(1)?)?, port(words.get(2)?)?);
            Some((*words.get(9)?, ports))
        })
        .collect();
    let links = std::fs::read_dir(process.join("fd")).into_iter().flatten();
    let links = links.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
    let mut words: Vec<String> = links
        .map(|link| {
            let link = link.display().to_string();
            let inode = link
                .strip_prefix("socket:[")
                .and_then(|rest| rest.strip_suffix(']'));
            match inode.and_then(|inode| sockets.get(inode)) {
                Some(ports) => format!("port {ports}"),
                None => link,
            }
        })
        .collect();
    words.sort();
    words
}

/// Of an address as the kernel prints it.
fn port(address: &str) -> Option<u16> {
    u16::from_str_radix(address.split_once(':')?.1, 16).ok()
}
