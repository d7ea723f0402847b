//! Whose code is loaded.

use std::os::unix::fs::PermissionsExt as _;

use aurora_testkit::Aurora;
use sha2::{Digest as _, Sha256};

use super::{FIXTURE, config, fixture, serving, version, wait_for, with_fixture};

fn hash(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    Sha256::digest(bytes)
        .iter()
        .fold(String::new(), |mut text, byte| {
            write!(text, "{byte:02x}").unwrap();
            text
        })
}

fn chmod(aurora: &Aurora, name: &str, mode: u32) {
    std::fs::set_permissions(aurora.path(name), std::fs::Permissions::from_mode(mode)).unwrap();
}

#[tokio::test]
async fn a_library_that_others_can_write_is_refused_until_they_cannot() {
    let aurora = with_fixture("").start().await;
    let fresh = aurora.path("fresh.so");
    std::fs::write(&fresh, fixture(2)).unwrap();
    std::fs::set_permissions(&fresh, std::fs::Permissions::from_mode(0o664)).unwrap();

    std::fs::rename(&fresh, aurora.path(FIXTURE)).unwrap();
    aurora
        .wait_for_output("it can be written by others than its owner (mode 0664)")
        .await;
    assert_eq!(serving(&aurora).await, version(1));

    chmod(&aurora, FIXTURE, 0o644);
    wait_for(&aurora, 2).await;
}

#[tokio::test]
async fn a_folder_that_others_can_write_is_refused() {
    let aurora = with_fixture("").start().await;

    chmod(&aurora, "plugins", 0o777);
    aurora.replace(FIXTURE, fixture(2));

    aurora
        .wait_for_output("plugins can be written by others")
        .await;
    assert_eq!(serving(&aurora).await, version(1));
}

#[tokio::test]
async fn a_library_of_another_user_and_a_link_are_refused() {
    let aurora = with_fixture("").start().await;
    let stranger = aurora.path("stranger.so");
    std::fs::write(&stranger, fixture(2)).unwrap();
    if std::os::unix::fs::chown(&stranger, Some(12345), None).is_ok() {
        std::fs::rename(&stranger, aurora.path(FIXTURE)).unwrap();
        aurora.wait_for_output("it belongs to user 12345").await;
        assert_eq!(serving(&aurora).await, version(1));
    }

    std::fs::write(aurora.path("target.so"), fixture(3)).unwrap();
    std::os::unix::fs::symlink(aurora.path("target.so"), aurora.path("plugins/link.so")).unwrap();
    aurora.wait_for_output("it is a symbolic link").await;
}

#[tokio::test]
async fn with_an_allow_list_only_what_is_listed_serves_and_a_new_entry_lets_more_in() {
    let allow =
        |hashes: &[String]| format!("[plugins]\ntrust = \"allow-list\"\nallow = {hashes:?}");
    let (first, second) = (
        format!("sha256:{}", hash(&fixture(1))),
        format!("sha256:{}", hash(&fixture(2))),
    );
    let aurora = with_fixture(&allow(std::slice::from_ref(&first)))
        .start()
        .await;

    aurora.replace(FIXTURE, fixture(2));
    aurora
        .wait_for_output("its SHA-256 is not in `allow`")
        .await;
    aurora.wait_for_output(&second).await;
    assert_eq!(serving(&aurora).await, version(1));

    aurora.write("aurora.toml", config(&allow(&[first, second])));
    wait_for(&aurora, 2).await;
}

#[tokio::test]
async fn with_signatures_only_what_is_signed_by_a_known_key_serves() {
    let (key, other) = (Signer::new(), Signer::new());
    let settings = format!(
        "[plugins]\ntrust = \"signature\"\npublic_keys = [\"{}\"]",
        key.public()
    );
    let (signature, signed) = (format!("{FIXTURE}.minisig"), fixture(1));
    let aurora = with_fixture(&settings)
        .file(&signature, key.sign(&signed))
        .start()
        .await;
    assert_eq!(serving(&aurora).await, version(1));

    // The signature of the old one, and one by a stranger.
    aurora.replace(FIXTURE, fixture(2));
    aurora.wait_for_output("not by any of `public_keys`").await;
    aurora.replace(&signature, other.sign(&fixture(2)));
    aurora.replace(FIXTURE, fixture(3));
    aurora.wait_for_output("not by any of `public_keys`").await;
    assert_eq!(serving(&aurora).await, version(1));

    aurora.replace(&signature, key.sign(&fixture(3)));
    wait_for(&aurora, 3).await;
}

#[tokio::test]
async fn a_misspelt_trust_loads_nothing_new() {
    let aurora = with_fixture("").start().await;

    aurora.write("aurora.toml", config("[plugins]\ntrust = \"allowlist\""));
    aurora.replace(FIXTURE, fixture(2));
    aurora.wait_for_reload_error().await;

    assert_eq!(serving(&aurora).await, version(1));
    aurora.write("aurora.toml", config(""));
    wait_for(&aurora, 2).await;
}

/// Signs as `minisign` does.
struct Signer(minisign::KeyPair);

impl Signer {
    fn new() -> Self {
        Self(minisign::KeyPair::generate_unencrypted_keypair().unwrap())
    }

    fn public(&self) -> String {
        self.0.pk.to_base64()
    }

    fn sign(&self, bytes: &[u8]) -> String {
        let signed = minisign::sign(Some(&self.0.pk), &self.0.sk, bytes, None, None).unwrap();
        signed.into_string()
    }
}
