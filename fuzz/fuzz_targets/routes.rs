//! The route table finds what a plain comparison of each pattern with the path finds, and the most specific of them.
#![no_main]

use std::cmp::Ordering;

use aurora_config::{Match, RouteTable};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    // A line is a path to be found; behind an asterisk or a plus sign, a pattern for all methods or for GET.
    let text = String::from_utf8_lossy(input);
    let mut table = RouteTable::new();
    let mut served: Vec<Served<'_>> = Vec::new();
    for line in text.lines() {
        let Some((pattern, is_get)) = pattern(line) else {
            found(&table, &served, line);
            continue;
        };
        let methods = is_get.then(|| vec!["GET".to_owned()]);
        if pattern.split('/').any(has_text) {
            // Taken or refused, but which of several matches comes first is open where text stands before a parameter.
            RouteTable::new()
                .insert(pattern, methods.as_deref(), 0)
                .unwrap_or_default();
            continue;
        }
        if table
            .insert(pattern, methods.as_deref(), served.len())
            .is_ok()
        {
            served.push(Served { pattern, is_get });
        }
    }
});

/// A route that was accepted.
struct Served<'a> {
    pattern: &'a str,
    is_get: bool,
}

/// Whether a segment is more than its parameter.
fn has_text(segment: &str) -> bool {
    segment.contains('{') && !(segment.starts_with('{') && segment.ends_with('}'))
}

fn pattern(line: &str) -> Option<(&str, bool)> {
    let for_all = line.strip_prefix('*').map(|pattern| (pattern, false));
    for_all.or_else(|| line.strip_prefix('+').map(|pattern| (pattern, true)))
}

fn found(table: &RouteTable<usize>, served: &[Served<'_>], path: &str) {
    let matching: Vec<usize> = (0..served.len())
        .filter(|at| matches(&segments(served[*at].pattern), path))
        .collect();
    match table.find(path, "GET") {
        Match::Found { value, params } => {
            assert!(matching.contains(value), "{path}");
            assert_eq!(params.len(), served[*value].pattern.matches('{').count());
            let ours = segments(served[*value].pattern);
            for other in &matching {
                let other = segments(served[*other].pattern);
                assert_ne!(specific(&ours, &other), Ordering::Less);
            }
        }
        Match::NotFound => assert!(matching.is_empty(), "{path} {matching:?}"),
        Match::MethodNotAllowed { .. } => panic!("every route serves GET"),
    }
    match table.find(path, "POST") {
        Match::Found { value, .. } => assert!(!served[*value].is_get),
        Match::NotFound => assert!(matching.is_empty(), "{path} {matching:?}"),
        Match::MethodNotAllowed { allow } => {
            assert_eq!(allow, ["GET", "HEAD"]);
            assert!(matching.iter().any(|at| served[*at].is_get));
        }
    }
    assert_eq!(table.find(path, "HEAD"), table.find(path, "GET"));
}

/// One segment of a pattern.
#[derive(Debug, PartialEq)]
enum Segment<'a> {
    Exact(&'a str),
    /// Any text that is not empty, between these.
    Any(&'a str, &'a str),
    /// The end of the path, not empty, behind this.
    Rest(&'a str),
}

fn segments(pattern: &str) -> Vec<Segment<'_>> {
    pattern.split('/').map(segment).collect()
}

fn segment(text: &str) -> Segment<'_> {
    let Some((before, rest)) = text.split_once('{') else {
        assert!(!text.contains('}'), "an odd pattern was accepted");
        return Segment::Exact(text);
    };
    let (name, after) = rest.split_once('}').expect("braces that match");
    assert!(![before, name, after].concat().contains(['{', '}']));
    match name.strip_prefix('*') {
        Some(name) => {
            assert!(!name.is_empty() && after.is_empty());
            Segment::Rest(before)
        }
        None => Segment::Any(before, after),
    }
}

fn matches(pattern: &[Segment<'_>], path: &str) -> bool {
    let Some((first, others)) = pattern.split_first() else {
        return false;
    };
    if let Segment::Rest(before) = first {
        return path
            .strip_prefix(*before)
            .is_some_and(|rest| !rest.is_empty());
    }
    let (segment, rest) = match path.split_once('/') {
        Some((segment, rest)) => (segment, Some(rest)),
        None => (path, None),
    };
    let fits = match first {
        Segment::Exact(text) => *text == segment,
        Segment::Any(before, after) => segment
            .strip_prefix(*before)
            .and_then(|segment| segment.strip_suffix(*after))
            .is_some_and(|between| !between.is_empty()),
        Segment::Rest(_) => false,
    };
    match rest {
        Some(rest) => fits && matches(others, rest),
        None => fits && others.is_empty(),
    }
}

/// Which of two patterns says more of the first segment in which they are of different kinds.
fn specific(one: &[Segment<'_>], other: &[Segment<'_>]) -> Ordering {
    let rank = |segment: &Segment<'_>| match segment {
        Segment::Exact(_) => 2,
        Segment::Any(..) => 1,
        Segment::Rest(_) => 0,
    };
    let mut ranks = one.iter().zip(other).map(|(one, other)| {
        // Texts around a parameter are compared by nobody: which of two such patterns comes first is open.
        let both = (one, other);
        matches!(both, (Segment::Exact(_), Segment::Exact(_))) || one == other
    });
    let differ = ranks.position(|same| !same);
    differ.map_or(Ordering::Equal, |at| rank(&one[at]).cmp(&rank(&other[at])))
}
