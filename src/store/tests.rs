use std::os::unix::fs::PermissionsExt;

use super::*;

async fn behaves(store: Store) {
    let (chat, files) = (store.scoped("chat"), store.scoped("files"));
    let hour = Duration::from_hours(1);

    chat.put("a", Bytes::from_static(b"1"), hour).await.unwrap();
    chat.put("a", Bytes::from_static(b"22"), hour)
        .await
        .unwrap();
    chat.put("gone", Bytes::from_static(b"x"), Duration::ZERO)
        .await
        .unwrap();

    assert_eq!(chat.get("a").await.unwrap().unwrap(), "22");
    assert_eq!(files.get("a").await.unwrap(), None);
    assert_eq!(chat.get("gone").await.unwrap(), None);
    assert!(chat.delete("a").await.unwrap());
    assert!(!chat.delete("a").await.unwrap());
    assert_eq!(chat.get("a").await.unwrap(), None);
    assert!(
        chat.put("big", vec![0; MAX_VALUE + 1].into(), hour)
            .await
            .is_err()
    );
}

fn folder(name: &str) -> std::path::PathBuf {
    let path = std::env::temp_dir().join(format!("aurora-store-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&path).unwrap();
    path
}

#[tokio::test]
async fn memory_keeps_scopes_and_expiry_apart() {
    behaves(Store::in_memory()).await;
}

#[tokio::test]
async fn the_file_keeps_scopes_and_expiry_apart() {
    let folder = folder("behaves");

    let store = Store::open(&folder);

    assert_eq!(store.kind(), "embedded");
    behaves(store).await;
    std::fs::remove_dir_all(folder).unwrap();
}

#[tokio::test]
async fn the_file_survives_the_process_and_is_used_by_one_at_a_time() {
    let folder = folder("survives");
    let store = Store::open(&folder);
    let hour = Duration::from_hours(1);
    store
        .scoped("x")
        .put("a", Bytes::from_static(b"1"), hour)
        .await
        .unwrap();

    let mode = std::fs::metadata(folder.join(FILE_NAME))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    let second = Store::open(&folder);
    drop(store);
    let third = Store::open(&folder);

    assert_eq!(second.kind(), "memory");
    assert_eq!(third.scoped("x").get("a").await.unwrap().unwrap(), "1");
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn memory_makes_room_for_new_values() {
    let memory = Memory::default();
    for index in 0..20 {
        memory.put(
            format!("k{index}"),
            vec![0; 16 << 20].into(),
            1000 + index,
            0,
        );
    }

    assert_eq!(memory.get("k0", 0), None);
    assert!(memory.get("k19", 0).is_some());
}

#[test]
fn the_file_makes_room_for_new_values() {
    let folder = folder("room");
    let path = folder.join(FILE_NAME);
    let embedded = Embedded::bounded(&path, 0, 1000).unwrap();

    for index in 0..20 {
        let until = 1000 + index;
        embedded
            .put(&format!("k{index}"), &[0; 92], until, 0)
            .unwrap();
    }

    assert_eq!(embedded.get("k0", 0).unwrap(), None);
    assert!(embedded.get("k19", 0).unwrap().is_some());
    assert!(embedded.get("k15", 0).unwrap().is_some());
    std::fs::remove_dir_all(folder).unwrap();
}
