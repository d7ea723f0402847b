//! `aurora plugin inspect`: what can be read out of the file.

use std::process::ExitCode;

use aurora_sdk::Manifest;
use serde_json::{Value, json};

use super::super::{Format, print};
use super::InspectArgs;
use crate::plugins::{self, Inspected};

pub(super) fn inspect(args: &InspectArgs) -> ExitCode {
    let inspected = match plugins::inspect(&args.file) {
        Ok(inspected) => inspected,
        Err(reason) => {
            print::error_line(&format!("error: {}: {reason}", args.file.display()));
            return ExitCode::FAILURE;
        }
    };
    let fits = inspected.fits.as_ref().err();
    if args.format == Format::Json {
        print::line(&to_json(&inspected, fits).to_string());
    } else {
        print::line(&to_text(&inspected, fits));
    }
    if fits.is_some() {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

fn to_json(inspected: &Inspected, fits: Option<&String>) -> Value {
    json!({
        "sha256": plugins::hex(&inspected.hash),
        "interface": {
            "major": inspected.note.abi_major,
            "minor": inspected.note.abi_minor,
            "min_host_minor": inspected.note.min_host_minor,
            "pointer_bits": inspected.note.pointer_bits,
        },
        "manifest": inspected.manifest,
        "refused": fits,
    })
}

fn to_text(inspected: &Inspected, fits: Option<&String>) -> String {
    let note = &inspected.note;
    let mut lines = vec![
        format!(
            "interface  {}.{}, needs {}.{}",
            note.abi_major, note.abi_minor, note.abi_major, note.min_host_minor
        ),
        format!("sha256     {}", plugins::hex(&inspected.hash)),
    ];
    match &inspected.manifest {
        Some(manifest) => lines.extend(manifest_lines(manifest)),
        None => lines.push(
            "manifest   is made by its code; `aurora plugin verify` loads it and shows it"
                .to_owned(),
        ),
    }
    if let Some(reason) = fits {
        lines.push(format!("refused    {reason}"));
    }
    lines.join("\n")
}

/// What a manifest says, line by line.
pub(super) fn manifest_lines(manifest: &Manifest) -> Vec<String> {
    let kinds: Vec<String> = manifest
        .kinds
        .iter()
        .map(|kind| format!("{kind:?}").to_lowercase())
        .collect();
    let methods = if manifest.methods.is_empty() {
        "any".to_owned()
    } else {
        manifest.methods.join(", ")
    };
    let services = if manifest.services.is_empty() {
        "none".to_owned()
    } else {
        manifest.services.join(", ")
    };
    let mut lines = vec![
        format!("name       {} {}", manifest.name, manifest.version),
        format!("kind       {}", kinds.join(", ")),
        format!("methods    {methods}"),
        format!(
            "upstream   {}",
            if manifest.needs_upstream {
                "needed"
            } else {
                "not needed"
            }
        ),
        format!("services   {services}"),
    ];
    if !manifest.about.is_empty() {
        lines.insert(1, format!("about      {}", manifest.about));
    }
    match &manifest.options {
        Some(schema) => lines.push(format!("options    {schema:#}")),
        None => lines.push("options    no schema".to_owned()),
    }
    lines
}
