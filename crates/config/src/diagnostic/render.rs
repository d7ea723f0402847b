//! Diagnostics as text.

use std::ops::Range;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use super::{Diagnostic, Severity, Style};

pub(super) fn diagnostic(diagnostic: &Diagnostic, style: Style) -> String {
    let renderer = match style {
        Style::Plain => Renderer::plain(),
        Style::Color => Renderer::styled(),
    };
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let title = level
        .primary_title(diagnostic.message.as_str())
        .id(diagnostic.code);
    let helps = diagnostic
        .help
        .iter()
        .map(|help| Group::with_title(Level::HELP.secondary_title(help.as_str())));
    let Some(span) = &diagnostic.span else {
        // One by one: together they would be joined by a gutter that belongs to no line.
        let groups = std::iter::once(Group::with_title(title)).chain(helps);
        let lines: Vec<String> = groups.map(|group| renderer.render(&[group])).collect();
        return lines.join("\n");
    };

    // Only the lines that matter: the renderer walks through all that it is given.
    let related = diagnostic.related.as_ref();
    let start = related.map_or(span.start, |related| related.span.start.min(span.start));
    let end = related.map_or(span.end, |related| related.span.end.max(span.end));
    let (lines, first, offset) = diagnostic.text.masked(&(start..end));
    let shift = |span: &Range<usize>| span.start - offset..span.end - offset;
    let mut primary = AnnotationKind::Primary.span(shift(span));
    if let Some(label) = &diagnostic.label {
        primary = primary.label(label.as_str());
    }
    let second = related.map(|related| {
        AnnotationKind::Context
            .span(shift(&related.span))
            .label(related.label.as_str())
    });
    let snippet = Snippet::source(lines)
        .line_start(first)
        .path(diagnostic.text.display.as_str())
        .annotation(primary)
        .annotations(second);
    let groups: Vec<Group<'_>> = std::iter::once(title.element(snippet))
        .chain(helps)
        .collect();
    with_true_column(&renderer.render(&groups), diagnostic)
}

// The renderer counts columns in the masked text, where a long secret is shorter than it is.
fn with_true_column(rendered: &str, diagnostic: &Diagnostic) -> String {
    let (Some(span), Some(line), Some(column)) =
        (&diagnostic.span, diagnostic.line, diagnostic.column)
    else {
        return rendered.to_owned();
    };
    let display = &diagnostic.text.display;
    let shown = diagnostic.text.masked_position(span.start);
    let from = format!("{display}:{}:{}", shown.line, shown.column);
    rendered.replacen(&from, &format!("{display}:{line}:{column}"), 1)
}
