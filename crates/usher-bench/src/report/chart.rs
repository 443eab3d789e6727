//! A chart as SVG: for each case a bar for each subject, with a whisker from the least to the most.

use std::fmt::Write as _;

use super::figures::short;
use crate::numbers::float_of;
use crate::record::{Figure, Results};

const WIDTH: f64 = 860.0;
const LABELS: f64 = 300.0;
const BAR: f64 = 13.0;
const GAP: f64 = 9.0;
const TOP: f64 = 54.0;
/// Room for the number behind the longest bar.
const NUMBERS: f64 = 70.0;

/// The subjects that are drawn, and their colours.
const COLOURS: [(&str, &str); 5] = [
    ("usher", "#2563eb"),
    ("floor", "#9ca3af"),
    ("node-ws", "#16a34a"),
    ("fastapi", "#ea580c"),
    ("socket.io", "#9333ea"),
];

/// Draws one metric of the results, of the cases that end so; `None` if there is nothing of it.
pub(super) fn bars(results: &Results, metric: &str, ending: &str) -> Option<String> {
    let drawn = |figure: &&Figure| {
        figure.metric == metric && figure.case.ends_with(ending) && colour(&figure.subject).is_some()
    };
    let figures: Vec<&Figure> = results.figures.iter().filter(drawn).collect();
    let most = figures.iter().map(|figure| figure.max).fold(0.0, f64::max);
    let unit = &figures.first()?.unit;
    let mut cases: Vec<&str> = Vec::new();
    for figure in &figures {
        if !cases.contains(&figure.case.as_str()) {
            cases.push(&figure.case);
        }
    }
    let scale = (WIDTH - LABELS - NUMBERS) / if most > 0.0 { most } else { 1.0 };
    let height = TOP + float_of(figures.len()) * BAR + float_of(cases.len()) * GAP + 8.0;
    let (of, better) = (ending.trim_start_matches(", "), if unit.starts_with("1/") { "more" } else { "less" });
    let of = if of.is_empty() { String::new() } else { format!(", {of}") };
    let unit = if unit.is_empty() { String::new() } else { format!("{unit}, ") };
    let mut svg = head(height, &format!("{}: {metric}{of} ({unit}{better} is better)", results.measurement.name()));
    legend(&mut svg, &figures);
    let mut y = TOP;
    for case in cases {
        let of_case: Vec<_> = figures.iter().filter(|figure| figure.case == case).collect();
        let middle = y + float_of(of_case.len()) * BAR / 2.0 + 4.0;
        write(
            &mut svg,
            format_args!(
                "<text x=\"{:.0}\" y=\"{middle:.1}\" text-anchor=\"end\">{}</text>",
                LABELS - 8.0,
                escaped(case)
            ),
        );
        for figure in of_case {
            bar(&mut svg, figure, y, scale);
            y += BAR;
        }
        y += GAP;
    }
    svg.push_str("</svg>\n");
    Some(svg)
}

fn bar(svg: &mut String, figure: &Figure, y: f64, scale: f64) {
    let colour = colour(&figure.subject).unwrap_or_default();
    let (length, thick) = ((figure.median * scale).max(1.0), BAR - 3.0);
    write(
        svg,
        format_args!("<rect x=\"{LABELS}\" y=\"{y:.1}\" width=\"{length:.1}\" height=\"{thick}\" fill=\"{colour}\"/>"),
    );
    let [least, most] = [figure.min, figure.max].map(|value| LABELS + value * scale);
    let middle = y + thick / 2.0;
    write(svg, format_args!("<path d=\"M{least:.1} {middle:.1}H{most:.1}\" stroke=\"#111827\"/>"));
    let (x, base) = (LABELS + length.max(figure.max * scale) + 6.0, y + thick - 1.0);
    write(svg, format_args!("<text x=\"{x:.1}\" y=\"{base:.1}\">{}</text>", short(figure.median)));
}

fn head(height: f64, title: &str) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height:.0}\" width=\"{WIDTH}\" font-family=\"sans-serif\" \
         font-size=\"11\" fill=\"currentColor\" color=\"#374151\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"12\" y=\"20\" font-size=\"14\" font-weight=\"bold\">{}</text>\n",
        escaped(title)
    )
}

fn legend(svg: &mut String, figures: &[&Figure]) {
    let mut x = LABELS;
    for (subject, colour) in COLOURS {
        if figures.iter().any(|figure| figure.subject == subject) {
            write(svg, format_args!("<rect x=\"{x}\" y=\"32\" width=\"10\" height=\"10\" fill=\"{colour}\"/>"));
            write(svg, format_args!("<text x=\"{}\" y=\"41\">{subject}</text>", x + 15.0));
            x += 90.0;
        }
    }
}

fn colour(subject: &str) -> Option<&'static str> {
    COLOURS.iter().find(|(name, _)| *name == subject).map(|(_, colour)| *colour)
}

fn write(svg: &mut String, line: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = writeln!(svg, "{line}");
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}
