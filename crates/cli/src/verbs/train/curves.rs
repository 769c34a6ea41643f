//! The course of a training as a picture.

use std::ops::Range;

use plotters::prelude::*;
use serde_json::Value;

/// One evaluation.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Point {
    step: f64,
    train_loss: f64,
    /// Loss on the development data, if there is one.
    loss: Option<f64>,
    score: f64,
}

/// An SVG of a training log (`log.jsonl`): losses above, the score below, by step; none
/// without an evaluation.
///
/// # Errors
/// If it cannot be drawn.
pub fn draw(log: &str) -> anyhow::Result<Option<String>> {
    let points: Vec<Point> = log.lines().filter_map(point).collect();
    if points.is_empty() {
        return Ok(None);
    }
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, (760, 640)).into_drawing_area();
        root.fill(&WHITE)?;
        let (above, below) = root.split_vertically(330);
        let series = |value: fn(&Point) -> Option<f64>| -> Vec<(f64, f64)> {
            points.iter().filter_map(|point| Some((point.step, value(point)?))).collect()
        };
        let losses = [
            ("training", series(|point| Some(point.train_loss))),
            ("development", series(|point| point.loss)),
        ];
        panel(&above, "loss", SeriesLabelPosition::UpperRight, &losses)?;
        let scores = [("development", series(|point| Some(point.score)))];
        panel(&below, "score", SeriesLabelPosition::LowerRight, &scores)?;
        root.present()?;
    }
    Ok(Some(svg))
}

fn panel<'a>(
    area: &DrawingArea<SVGBackend<'a>, plotters::coord::Shift>,
    name: &str,
    names: SeriesLabelPosition,
    lines: &[(&str, Vec<(f64, f64)>)],
) -> Result<(), DrawingAreaErrorKind<<SVGBackend<'a> as DrawingBackend>::ErrorType>> {
    let all = || lines.iter().flat_map(|(_, points)| points);
    let last = all().map(|point| point.0).fold(1.0, f64::max);
    let mut chart = ChartBuilder::on(area)
        .margin(12)
        .x_label_area_size(36)
        .y_label_area_size(64)
        .build_cartesian_2d(0.0..last, around(all().map(|point| point.1)))?;
    chart.configure_mesh().light_line_style(WHITE).x_desc("step").y_desc(name).draw()?;
    for (number, (name, points)) in lines.iter().enumerate().filter(|(_, line)| !line.1.is_empty())
    {
        let color = Palette99::pick(number).to_rgba();
        chart
            .draw_series(LineSeries::new(points.iter().copied(), color.stroke_width(2)))?
            .label(*name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], color.stroke_width(2)));
        let dots = points.iter().map(|&point| Circle::new(point, 3, color.filled()));
        chart.draw_series(dots)?;
    }
    chart.configure_series_labels().position(names).background_style(WHITE.mix(0.8)).draw()?;
    Ok(())
}

/// A range that holds all values, with some room.
fn around(values: impl Iterator<Item = f64>) -> Range<f64> {
    let (low, high) = values.fold((f64::MAX, f64::MIN), |(low, high), x| (low.min(x), high.max(x)));
    let room = ((high - low) * 0.05).max(high.abs() * 0.01).max(1e-6);
    low - room..high + room
}

/// The evaluation that a line of the log tells of.
fn point(line: &str) -> Option<Point> {
    let event: Value = serde_json::from_str(line).ok()?;
    if event["event"] != "evaluated" {
        return None;
    }
    let number = |key: &str| event[key].as_f64().filter(|value| value.is_finite());
    Some(Point {
        step: number("step")?,
        train_loss: number("train_loss")?,
        loss: number("loss"),
        score: number("score")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = r#"{"event":"started"}
{"event":"evaluated","epoch":1,"step":10,"train_loss":2.5,"score":40.0,"loss":2.25,"best":true}
{"event":"evaluated","epoch":2,"step":20,"train_loss":1.5,"score":60.0,"loss":null,"best":true}
not json
"#;

    #[test]
    fn evaluations_are_drawn() {
        let svg = draw(LOG).unwrap().unwrap();
        assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"), "{svg}");
        for part in ["training", "development", "loss", "score", "step"] {
            assert!(svg.contains(part), "{part}: {svg}");
        }
        // Two training losses, one of the development data, two scores.
        assert_eq!(svg.matches("<circle").count(), 5, "{svg}");
    }

    #[test]
    fn one_evaluation_is_drawn_and_none_is_not() {
        let one = LOG.lines().nth(1).unwrap();
        assert_eq!(draw(one).unwrap().unwrap().matches("<circle").count(), 3);
        assert_eq!(draw("{\"event\":\"started\"}").unwrap(), None);
    }

    #[test]
    fn what_is_read_is_what_the_log_says() {
        let want = Point { step: 10.0, train_loss: 2.5, loss: Some(2.25), score: 40.0 };
        assert_eq!(point(LOG.lines().nth(1).unwrap()), Some(want));
    }
}
