//! Who is told of the events of a training.

use glossator::{
    errors::TrainingError,
    training::{Event, Observer, Progress, Table},
};

use crate::log::Log;

/// Progress and a table, events as JSON lines, or nobody.
pub fn of(log: Log) -> Vec<Box<dyn Observer>> {
    if log.is_quiet() {
        Vec::new()
    } else if log.is_json() {
        vec![Box::new(JsonLines(log))]
    } else {
        vec![Box::new(Progress::stderr()), Box::new(Table::stderr())]
    }
}

/// Writes each event as a JSON object.
struct JsonLines(Log);

impl Observer for JsonLines {
    fn event(&mut self, event: &Event<'_>) -> Result<(), TrainingError> {
        self.0.object(&serde_json::to_string(event)?);
        Ok(())
    }
}
