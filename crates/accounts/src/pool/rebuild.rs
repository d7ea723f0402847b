//! From files to accounts; unchanged lines keep their state.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, UNIX_EPOCH};

use aurora_chatgpt::credential::{Line, lines};
use secrecy::ExposeSecret as _;
use tokio::time::Instant;

use super::{AccountPool, FileText, Grouped};
use crate::group::{Entry, Origin};
use crate::notice::Notice;
use crate::seat::Seat;
use crate::settings::{Kind, PoolSettings};
use crate::shared::{Context, Shared};
use crate::source::{Digest, Source, digest};

/// So long the state of lines that are gone is kept.
const KEPT: Duration = Duration::from_mins(10);

impl AccountPool {
    /// The accounts of `files`, and what there is to say about these.
    ///
    /// Lines that `previous` has too keep their state. A line is known by its token, and by those that its token has
    /// replaced: what we write ourselves is no change, and neither is a file that was read a moment before that.
    pub fn rebuild(
        previous: Option<&Self>,
        files: impl IntoIterator<Item = FileText>,
        settings: PoolSettings,
    ) -> (Self, Vec<Notice>) {
        let shared = previous.map_or_else(Arc::<Shared>::default, |previous| {
            Arc::clone(&previous.cx.shared)
        });
        let mut builder = Builder {
            cx: Context { shared, settings },
            known: known(previous),
            taken: HashSet::new(),
            entries: Vec::new(),
            notices: Vec::new(),
        };
        for file in files {
            builder.file(&file);
        }
        builder.finish(previous)
    }

    /// Takes over from the pool before: what has no line here is not written back any more.
    ///
    /// To be called when the pool begins to serve. Until then it may still be thrown away and the one before stay. Leases
    /// and renewals call it, too.
    pub fn take_over(&self) {
        if self.serves.swap(true, Ordering::AcqRel) {
            return;
        }
        let mut teams: HashMap<*const Source, (&Source, Vec<Option<String>>)> = HashMap::new();
        for (entry, _) in &self.gone {
            let source = &entry.seat.source;
            teams.insert(Arc::as_ptr(source), (source, Vec::new()));
        }
        for Entry { seat, .. } in &self.entries {
            let source = &seat.source;
            let lines = teams.entry(Arc::as_ptr(source));
            let (_, lines) = lines.or_insert_with(|| (source, Vec::new()));
            lines.push(seat.team.clone());
        }
        for (source, teams) in teams.into_values() {
            source.stands_for(teams);
        }
    }
}

type Key = (Kind, Arc<Path>, Digest);

/// What is already there, by kind, file and token.
struct Known {
    sources: HashMap<Key, Arc<Source>>,
    seats: HashMap<(*const Source, Option<String>), Arc<Seat>>,
}

fn known(previous: Option<&AccountPool>) -> Known {
    let mut known = Known {
        sources: HashMap::new(),
        seats: HashMap::new(),
    };
    let Some(previous) = previous else {
        return known;
    };
    let gone = previous.gone.iter().map(|(entry, _)| entry);
    for entry in previous.entries.iter().chain(gone) {
        let source = &entry.seat.source;
        let Some(origin) = &entry.origin else {
            continue;
        };
        for digest in source.digests() {
            let key = (source.kind, Arc::clone(&origin.path), digest);
            known
                .sources
                .entry(key)
                .or_insert_with(|| Arc::clone(source));
        }
        let key = (Arc::as_ptr(source), entry.seat.team.clone());
        known
            .seats
            .entry(key)
            .or_insert_with(|| Arc::clone(&entry.seat));
    }
    known
}

struct Builder {
    cx: Context,
    known: Known,
    /// Seats that have a line.
    taken: HashSet<(*const Source, Option<String>)>,
    entries: Vec<Entry>,
    notices: Vec<Notice>,
}

impl Builder {
    fn file(&mut self, file: &FileText) {
        let text = file.text.as_ref().map_or("", |text| text.expose_secret());
        let before = self.entries.len();
        let lines = lines(text);
        self.empty_lines(file, text, &lines);
        for line in lines {
            self.line(file, line);
        }
        let count = self.entries.len() - before;
        let plural = if count == 1 { "" } else { "s" };
        let message = format!("{count} {}{plural}", file.kind.name());
        self.notices.push(Notice::count(file.path.clone(), message));
    }

    /// Lines that hold a workspace and no token.
    fn empty_lines(&mut self, file: &FileText, text: &str, lines: &[Line]) {
        let written = text.lines().enumerate().filter(|(_, line)| {
            let line = line.trim_start_matches('\u{feff}').trim();
            !line.is_empty() && !line.starts_with('#')
        });
        for (index, _) in written {
            if lines.iter().all(|line| line.number != index + 1) {
                self.warn(&file.path, index + 1, "this line holds no token");
            }
        }
    }

    fn line(&mut self, file: &FileText, line: Line) {
        let token = line.token.expose_secret();
        let is_odd = |c: char| !c.is_ascii_graphic() || matches!(c, '"' | '\'' | '`' | ',');
        if token.contains(is_odd) || line.team.iter().any(|team| team.contains(is_odd)) {
            let message = "this is no token: it holds blanks, quotes or other odd characters";
            self.warn(&file.path, line.number, message);
            return;
        }
        let source = self.source(file, &line);
        let key = (Arc::as_ptr(&source), line.team.clone());
        if !self.taken.insert(key.clone()) {
            self.warn(&file.path, line.number, "this line repeats an earlier one");
            return;
        }
        self.check(&source, &file.path, line.number);
        let seat = self
            .known
            .seats
            .get(&key)
            .map_or_else(|| Arc::new(Seat::new(source, line.team)), Arc::clone);
        let origin = Some(Origin {
            path: file.path.as_path().into(),
            line: line.number,
        });
        self.entries.push(Entry { seat, origin });
    }

    fn source(&mut self, file: &FileText, line: &Line) -> Arc<Source> {
        let key = (
            file.kind,
            Arc::from(file.path.as_path()),
            digest(line.token.expose_secret()),
        );
        let known = self.known.sources.entry(key).or_insert_with(|| {
            let target = file.kind.is_exchanged();
            let target = target.then(|| self.cx.shared.file(&file.path));
            let source = Source::new(file.kind, &line.token, target, None, &self.cx);
            Arc::new(source)
        });
        Arc::clone(known)
    }

    /// Says what is odd about an access token.
    fn check(&mut self, source: &Source, path: &Path, line: usize) {
        let access = source.access().filter(|_| source.kind == Kind::Access);
        let Some(access) = access else { return };
        let Some(at) = access.expires_at else {
            self.warn(path, line, "this token does not say when it expires");
            return;
        };
        if access.claims.is_expired(self.cx.settings.clock.seconds()) {
            let at = UNIX_EPOCH.checked_add(Duration::from_secs(at));
            let at = at.unwrap_or(UNIX_EPOCH);
            let date = humantime::format_rfc3339_seconds(at);
            self.warn(path, line, format!("this access token expired {date}"));
        }
    }

    fn warn(&mut self, path: &Path, line: usize, message: impl Into<String>) {
        self.notices
            .push(Notice::warning(path.to_owned(), line, message));
    }

    fn finish(self, previous: Option<&AccountPool>) -> (AccountPool, Vec<Notice>) {
        let now = Instant::now();
        let mut gone: Vec<(Entry, Instant)> = Vec::new();
        if let Some(previous) = previous {
            let new = previous.entries.iter().map(|entry| (entry.clone(), now));
            let old = previous.gone.iter().cloned();
            let is_kept = |(entry, since): &(Entry, Instant)| {
                let key = (Arc::as_ptr(&entry.seat.source), entry.seat.team.clone());
                !self.taken.contains(&key) && since.elapsed() < KEPT
            };
            gone.extend(new.chain(old).filter(is_kept));
        }
        let pool = AccountPool {
            cx: self.cx,
            entries: self.entries,
            gone,
            serves: AtomicBool::new(false),
            groups: Mutex::new(Grouped {
                version: None,
                groups: Arc::new([]),
            }),
        };
        (pool, self.notices)
    }
}
