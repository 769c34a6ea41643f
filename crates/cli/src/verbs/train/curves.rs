//! The course of a training as a picture, SVG or PNG.

use std::ops::Range;

use anyhow::bail;
use epaint_default_fonts::UBUNTU_LIGHT;
use plotters::{coord::Shift, prelude::*, style::register_font};
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

/// The evaluations of a training log (`log.jsonl`).
#[derive(Debug)]
pub struct Curves(Vec<Point>);

/// Name of the font that the charts write with.
const FONT: &str = "sans-serif";
/// Name of the development data in a legend.
const DEVELOPMENT: &str = "development";
const SIZE: (u32, u32) = (760, 640);
/// Height of the upper one of the two panels.
const ABOVE: i32 = 330;

/// An area of an SVG or of pixels.
type Area<Backend> = DrawingArea<Backend, Shift>;
type Drawn<Backend> = Result<(), DrawingAreaErrorKind<<Backend as DrawingBackend>::ErrorType>>;

impl Curves {
    /// None of a log without an evaluation.
    pub fn of(log: &str) -> Option<Self> {
        let points: Vec<Point> = log.lines().filter_map(point).collect();
        (!points.is_empty()).then_some(Self(points))
    }

    /// Losses above, the score below, by step.
    ///
    /// # Errors
    /// If it cannot be drawn.
    pub fn svg(&self) -> anyhow::Result<String> {
        let mut svg = String::new();
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        self.draw(&area)?;
        drop(area);
        Ok(svg)
    }

    /// The same as the bytes of a PNG file.
    ///
    /// # Errors
    /// If it cannot be drawn.
    pub fn png(&self) -> anyhow::Result<Vec<u8>> {
        let (width, height) = SIZE;
        let mut pixels = vec![0; 3 * width as usize * height as usize];
        let area = BitMapBackend::with_buffer(&mut pixels, SIZE).into_drawing_area();
        self.draw(&area)?;
        drop(area);
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, width, height);
        encoder.set_color(png::ColorType::Rgb);
        let mut writer = encoder.write_header()?;
        writer.write_image_data(&pixels)?;
        writer.finish()?;
        Ok(bytes)
    }

    fn draw<Backend: DrawingBackend>(&self, area: &Area<Backend>) -> anyhow::Result<()>
    where
        Backend::ErrorType: 'static,
    {
        if register_font(FONT, FontStyle::Normal, UBUNTU_LIGHT).is_err() {
            bail!("the font in the box is no font");
        }
        area.fill(&WHITE)?;
        let (above, below) = area.split_vertically(ABOVE);
        let series = |value: fn(&Point) -> Option<f64>| -> Vec<(f64, f64)> {
            self.0.iter().filter_map(|point| Some((point.step, value(point)?))).collect()
        };
        let losses = [
            ("training", series(|point| Some(point.train_loss))),
            (DEVELOPMENT, series(|point| point.loss)),
        ];
        panel(&above, "loss", SeriesLabelPosition::UpperRight, &losses)?;
        let scores = [(DEVELOPMENT, series(|point| Some(point.score)))];
        panel(&below, "score", SeriesLabelPosition::LowerRight, &scores)?;
        area.present()?;
        Ok(())
    }
}

fn panel<Backend: DrawingBackend>(
    area: &Area<Backend>,
    name: &str,
    names: SeriesLabelPosition,
    lines: &[(&str, Vec<(f64, f64)>)],
) -> Drawn<Backend> {
    let all = || lines.iter().flat_map(|(_, points)| points);
    let last = all().map(|point| point.0).fold(1.0, f64::max);
    let mut chart = ChartBuilder::on(area)
        .margin(12)
        .x_label_area_size(36)
        .y_label_area_size(64)
        .build_cartesian_2d(0.0..last, around(all().map(|point| point.1)))?;
    chart
        .configure_mesh()
        .light_line_style(WHITE)
        .x_desc("step")
        .y_desc(name)
        .x_label_formatter(&|step| format!("{step:.0}"))
        .draw()?;
    for (name, points) in lines.iter().filter(|(_, points)| !points.is_empty()) {
        let color = Palette99::pick(usize::from(*name == DEVELOPMENT)).to_rgba();
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
        let svg = Curves::of(LOG).unwrap().svg().unwrap();
        assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"), "{svg}");
        for part in ["training", "development", "loss", "score", "step"] {
            assert!(svg.contains(part), "{part}: {svg}");
        }
        // Two training losses, one of the development data, two scores.
        assert_eq!(svg.matches("<circle").count(), 5, "{svg}");
    }

    #[test]
    fn one_evaluation_is_drawn_and_none_is_not() {
        let one = Curves::of(LOG.lines().nth(1).unwrap()).unwrap();
        assert_eq!(one.svg().unwrap().matches("<circle").count(), 3);
        assert!(Curves::of("{\"event\":\"started\"}").is_none());
    }

    /// Colours of the pixels of a PNG.
    fn colours(bytes: &[u8]) -> Vec<[u8; 3]> {
        let mut reader = png::Decoder::new(std::io::Cursor::new(bytes)).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        assert_eq!((info.width, info.height), SIZE);
        pixels.chunks(3).map(|pixel| [pixel[0], pixel[1], pixel[2]]).collect()
    }

    #[test]
    fn a_png_has_the_lines_and_the_words() {
        let png = Curves::of(LOG).unwrap().png().unwrap();
        let colours = colours(&png);
        for number in 0..2 {
            let (red, green, blue) = Palette99::pick(number).rgb();
            assert!(colours.contains(&[red, green, blue]), "line {number}");
        }
        // The names of the axes stand on the left of the numbers.
        let row = |row: usize| &colours[row * SIZE.0 as usize..][..30];
        let dark = (0..SIZE.1 as usize).flat_map(row).filter(|pixel| pixel[0] < 128).count();
        assert!(dark > 20, "{dark}");
    }

    #[test]
    fn what_is_read_is_what_the_log_says() {
        let want = Point { step: 10.0, train_loss: 2.5, loss: Some(2.25), score: 40.0 };
        assert_eq!(point(LOG.lines().nth(1).unwrap()), Some(want));
    }
}
