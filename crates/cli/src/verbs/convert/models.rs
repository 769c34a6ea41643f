//! Models of other toolkits.

use glossator::convert::{self, Conversion, ConvertOptions};

use super::{Args, To};
use crate::{
    exit::{DONE, Usage},
    log::Log,
};

pub fn convert(args: &Args, log: Log) -> anyhow::Result<u8> {
    let [model] = &args.files[..] else {
        let problem = "name one model; of a corpus say what it becomes, as in --to jsonl";
        return Err(Usage(problem.to_owned()).into());
    };
    let Some(output) = &args.output else {
        return Err(Usage("name what the model becomes with -o".to_owned()).into());
    };
    let conversion = match args.to {
        To::Flair => convert::to_flair(&model.to_string_lossy(), output)?,
        _ => {
            let without_quirks = args.without_quirks;
            let options = ConvertOptions { others: args.with.clone(), without_quirks };
            convert::convert(model, output, &options)?
        }
    };
    tell(&conversion, log);
    Ok(DONE)
}

fn tell(conversion: &Conversion, log: Log) {
    for found in &conversion.found {
        log.info(found);
    }
    for left_out in &conversion.left_out {
        log.warn(format_args!("left out: {left_out}"));
    }
    for quirk in &conversion.quirks {
        log.info(format_args!("computed as by the original: {}", quirk.description()));
    }
}
