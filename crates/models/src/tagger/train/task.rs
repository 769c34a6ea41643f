//! The tagger as a task of the training loop.

use std::{cell::OnceCell, collections::BTreeMap, path::Path};

use candle_core::{Tensor, Var};
use glossator_hub::{FORMAT, write_tensors};
use glossator_nn::{
    Device, Linear, Mask, ParamSet, Rng, Rnn, Weights, crf_loss, dropout, weighted_nll,
};
use glossator_text::{Dictionary, Sentence, batch, tags};
use glossator_train::{
    BoxError, Evaluation, Loss, Snapshot, Task,
    metric::{Report, Score},
};
use sha2::{Digest, Sha256};

use super::{
    data::{Corpora, gold_column, gold_columns},
    start::Start,
    temperature::Scored,
};
use crate::{
    Error, Result, TaggerRunConfig, TokenBatch,
    embeddings::{EmbeddingConfig, Prepared, TrainedEmbedding},
    stored::{self, WEIGHTS},
    tagger::{KIND, Labels, LayerModel, Tagger, TaggerModel, decode::transitions, layer_name},
    training::{products, write, write_json},
};

/// Sentences over which the flow of gradients is averaged.
const FLOW_SENTENCES: usize = 64;

/// A tagger in training.
pub(super) struct TaggerTask<'a> {
    config: &'a TaggerRunConfig,
    corpora: &'a Corpora,
    model: TaggerModel,
    layers: Vec<TrainedLayer>,
    /// Hash of the model's settings and of the data.
    fingerprint: String,
    prepared: Vec<Prepared>,
    params: ParamSet,
    embeddings: Vec<Box<dyn TrainedEmbedding>>,
    reprojection: Option<Linear>,
    rnn: Option<Rnn>,
    output: Linear,
    /// What the scores of each layer are multiplied by in a saved model, of the weights
    /// that were evaluated last.
    scales: OnceCell<Vec<f32>>,
}

/// A layer that is learnt.
struct TrainedLayer {
    labels: Labels,
    mask: Mask,
    /// Its tags of each sentence.
    gold: Vec<Vec<usize>>,
    /// Weight of each tag in the loss without a CRF.
    class_weights: Vec<f32>,
    /// With a CRF.
    transitions: Option<Var>,
}

impl TrainedLayer {
    fn new(
        index: usize,
        column: &str,
        labels: Labels,
        crf: bool,
        config: &TaggerRunConfig,
        corpora: &Corpora,
        params: &mut ParamSet,
    ) -> Result<Self> {
        let n = labels.len();
        let transitions = match crf {
            true => Some(params.add(&transitions(index), vec![0.0; (n + 2) * n], (n + 2, n))?),
            false => None,
        };
        let gold = corpora.train.iter().map(|sentence| gold(sentence, column, &labels));
        let gold = gold.collect::<Result<Vec<_>>>()?;
        let class_weights = class_weights(&config.tagger.class_weights, &labels);
        Ok(Self { mask: labels.mask(), labels, gold, class_weights, transitions })
    }

    /// Sum of the losses of a batch's sentences by their emission scores `[tokens, tags]`.
    fn loss(&self, emissions: &Tensor, batch: &[usize], lengths: &[usize]) -> Result<Tensor> {
        let gold: Vec<usize> = batch.iter().flat_map(|&i| &self.gold[i]).copied().collect();
        Ok(match &self.transitions {
            Some(transitions) => crf_loss(emissions, transitions, &self.mask, lengths, &gold)
                .map_err(glossator_nn::Error::from)?,
            None => weighted_nll(emissions, &gold, &self.class_weights)?,
        })
    }
}

impl<'a> TaggerTask<'a> {
    pub(super) fn new(
        config: &'a TaggerRunConfig,
        mut start: Start,
        corpora: &'a Corpora,
        device: &Device,
    ) -> Result<Self> {
        let tagger = start.tagger.clone();
        let labels = std::mem::take(&mut start.labels);
        refuse_unknown_classes(config, &labels)?;
        let rng = &mut Rng::new(config.seed, "init", 0);
        let mut params = ParamSet::on(device);
        let mut embeddings = Vec::new();
        let mut dim = 0;
        for (index, prepared) in start.embeddings.iter().enumerate() {
            embeddings.push(prepared.train(index, &mut params, rng)?);
            dim += prepared.dim();
        }
        let reprojected = tagger.reprojected(dim);
        let precision = products(config.training.precision);
        let reprojection = match reprojected {
            Some(out) => Some(
                Linear::new(&mut params, "reprojection", dim, out, rng)?.in_precision(precision),
            ),
            None => None,
        };
        let shape = tagger.rnn(reprojected.unwrap_or(dim));
        let first = tagger.first_values();
        let rnn = match shape.n_layers {
            0 => None,
            _ => Some(Rnn::new(&mut params, "rnn", shape, first, rng)?.in_precision(precision)),
        };
        let n = labels.iter().map(Labels::len).sum();
        let output = Linear::new(&mut params, "output", shape.output_dim(), n, rng)?;
        let mut layers = Vec::new();
        for ((index, column), labels) in config.data.layers().enumerate().zip(labels) {
            // A model that is trained on may decode otherwise than the file says.
            layers.push(TrainedLayer::new(
                index,
                column,
                labels,
                tagger.crf,
                config,
                corpora,
                &mut params,
            )?);
        }
        start.fill(&params)?;
        let mut tagger = tagger;
        for embedding in &mut tagger.embeddings {
            // The file of given vectors is named, its folder is nobody's business.
            if let EmbeddingConfig::Words(words) = embedding {
                let name = words.vectors.as_deref().and_then(Path::file_name);
                words.vectors = name.map(Into::into);
            }
        }
        let named = |(column, layer): (&String, &TrainedLayer)| LayerModel {
            layer: layer_name(column),
            scheme: layer.labels.scheme(),
            labels: layer.labels.names(),
        };
        let mut named = config.data.layers().zip(&layers).map(named);
        let first = named.next();
        let LayerModel { layer, scheme, labels } = first.expect("there is a first layer");
        let model = TaggerModel {
            kind: KIND.to_owned(),
            format: FORMAT,
            layer,
            scheme,
            labels,
            further_layers: named.collect(),
            precision: config.model.precision,
            compute: config.model.compute,
            quirks: start.quirks,
            tagger,
        };
        let fingerprint = fingerprint(&model, &start.embeddings, config, corpora, &layers)?;
        Ok(Self {
            config,
            corpora,
            model,
            layers,
            fingerprint,
            prepared: start.embeddings,
            params,
            embeddings,
            reprojection,
            rnn,
            output,
            scales: OnceCell::new(),
        })
    }

    /// What the recurrent layers read of a batch, in the graph; a share `p` of the
    /// features and `word` of the words is dropped.
    fn vectors(&self, batch: &TokenBatch<'_>, word: f32, p: f32, rng: &mut Rng) -> Result<Tensor> {
        let parts = self.embeddings.iter().map(|e| e.forward(batch, rng));
        let parts = parts.collect::<Result<Vec<_>>>()?;
        let device = self.params.device().candle();
        let parts = parts.iter().map(|part| part.to_device(device));
        let parts = parts.collect::<candle_core::Result<Vec<_>>>();
        let x =
            parts.and_then(|parts| Tensor::cat(&parts, 1)).map_err(glossator_nn::Error::from)?;
        let x = dropout::word(&x, word, rng)?;
        let x = dropout::locked(&x, &batch.lengths, p, rng)?;
        Ok(match &self.reprojection {
            Some(reprojection) => reprojection.forward(&x)?,
            None => x,
        })
    }

    /// Emission scores `[tokens, tags]` of a batch, in the graph.
    fn emissions(&self, batch: &TokenBatch<'_>, rng: &mut Rng) -> Result<Tensor> {
        let tagger = &self.model.tagger;
        let (lengths, p) = (&batch.lengths, tagger.locked_dropout);
        let x = self.vectors(batch, tagger.word_dropout, p, rng)?;
        let hidden = match &self.rnn {
            Some(rnn) => rnn.forward(&x, lengths, p, rng)?.hidden,
            None => x,
        };
        Ok(self.output.forward(&dropout::locked(&hidden, lengths, p, rng)?)?)
    }

    fn batch_loss(&self, batch: &[usize], rng: &mut Rng) -> Result<Loss> {
        let tokens = TokenBatch::new(batch.iter().map(|&i| &self.corpora.train[i]));
        let emissions = self.emissions(&tokens, rng)?;
        let sum = match &self.layers[..] {
            [layer] => layer.loss(&emissions, batch, &tokens.lengths)?,
            layers => {
                let (mut from, mut losses) = (0, Vec::new());
                for layer in layers {
                    let own = emissions.narrow(1, from, layer.labels.len());
                    let own = own.and_then(|own| own.contiguous());
                    let own = own.map_err(glossator_nn::Error::from)?;
                    losses.push(layer.loss(&own, batch, &tokens.lengths)?);
                    from += layer.labels.len();
                }
                let sum = Tensor::stack(&losses, 0).and_then(|losses| losses.sum_all());
                sum.map_err(glossator_nn::Error::from)?
            }
        };
        Ok(Loss { sum, count: batch.len(), tokens: tokens.tokens.len() })
    }

    /// All tensors of the model as it is now.
    fn weights(&self) -> Result<Weights> {
        let mut weights = Weights::from_params(&self.params)?;
        for (index, prepared) in self.prepared.iter().enumerate() {
            prepared.add_frozen(index, &mut weights);
        }
        Ok(weights)
    }

    fn save_files(&self, dir: &Path) -> Result<()> {
        for (index, prepared) in self.prepared.iter().enumerate() {
            prepared.save(index, dir)?;
        }
        let weights = self.weights()?;
        let mut tensors = weights.iter().map(stored::tensor).collect::<Result<Vec<_>, _>>()?;
        self.calibrate(weights, &mut tensors)?;
        let path = dir.join(WEIGHTS);
        let bytes = write_tensors(&tensors, self.model.precision);
        let bytes = bytes.map_err(std::io::Error::other);
        write(&path, &bytes.map_err(|source| Error::Write { path: path.clone(), source })?)?;
        // Last: a folder without it is no model, so nobody loads half of one.
        write_json(&dir.join("config.json"), serde_json::to_string_pretty(&self.model))
    }

    /// Multiplies what gives scores, so that probabilities are right on the development data.
    fn calibrate(&self, weights: Weights, tensors: &mut [glossator_hub::Tensor]) -> Result<()> {
        let scales = match self.scales.get() {
            Some(scales) => scales,
            None => {
                let scales = self.scales_of(weights)?;
                self.scales.get_or_init(|| scales)
            }
        };
        let layers = self.layers.iter().zip(scales);
        let rows: Vec<f32> = layers
            .flat_map(|(layer, scale)| std::iter::repeat_n(*scale, layer.labels.len()))
            .collect();
        for tensor in tensors {
            if ["output.weight", "output.bias"].contains(&tensor.name.as_str()) {
                let columns = tensor.values.len() / rows.len();
                for (row, scale) in tensor.values.chunks_exact_mut(columns).zip(&rows) {
                    row.iter_mut().for_each(|value| *value *= scale);
                }
            }
            let own = (0..scales.len()).find(|&index| tensor.name == transitions(index));
            if let Some(index) = own {
                tensor.values.iter_mut().for_each(|value| *value *= scales[index]);
            }
        }
        Ok(())
    }

    /// The scale of each layer for these weights.
    fn scales_of(&self, weights: Weights) -> Result<Vec<f32>> {
        let tagger = self.tagger(weights)?;
        let dev = &self.corpora.dev;
        let emissions = tagger.emissions(dev)?;
        let n_tags: usize = self.layers.iter().map(|layer| layer.labels.len()).sum();
        let (mut from, mut scales) = (0, Vec::new());
        for (column, layer) in self.config.data.layers().zip(&self.layers) {
            let n = layer.labels.len();
            let own = |rows: &Vec<f32>| {
                rows.chunks_exact(n_tags).flat_map(|row| &row[from..from + n]).copied().collect()
            };
            // A sentence with a label that the model does not have says nothing.
            let sentences = dev.iter().zip(&emissions).filter_map(|(sentence, rows)| {
                Some((own(rows), gold(sentence, column, &layer.labels).ok()?))
            });
            let transitions = match &layer.transitions {
                Some(transitions) => transitions.flatten_all().and_then(|t| t.to_vec1()),
                None => Ok(vec![0.0; (n + 2) * n]),
            };
            let transitions = transitions.map_err(glossator_nn::Error::from)?;
            let sentences = sentences.collect();
            let scored = Scored { transitions: &transitions, mask: &layer.mask, sentences };
            scales.push(scored.scale().map_err(glossator_nn::Error::from)?);
            from += n;
        }
        Ok(scales)
    }

    /// A tagger of these weights.
    fn tagger(&self, weights: Weights) -> Result<Tagger> {
        let model = self.model.clone();
        Ok(Tagger::from_weights("in training", model, &self.prepared, weights)?)
    }

    fn evaluate_dev(&self) -> Result<Evaluation> {
        let tagger = self.tagger(self.weights()?)?;
        let reports = tagger.evaluate_layers(&self.corpora.dev, &self.config.data)?;
        let mut evaluation = Evaluation::default();
        let several = self.layers.len() > 1;
        for ((name, report), layer) in reports.into_iter().zip(&self.layers) {
            let Report { micro, accuracy, .. } = report;
            let (score, metrics) = match layer.labels.scheme() {
                None => (accuracy, vec![("accuracy", accuracy)]),
                Some(_) => {
                    let Score { precision, recall, f1, .. } = micro;
                    let spans = [("precision", precision), ("recall", recall), ("f1", f1)];
                    (f1, spans.into_iter().chain([("accuracy", accuracy)]).collect())
                }
            };
            // The mean: each layer weighs the same.
            evaluation.score += score / self.layers.len() as f64;
            evaluation.metrics.extend(metrics.into_iter().map(|(metric, value)| {
                (if several { format!("{name} {metric}") } else { metric.to_owned() }, value)
            }));
        }
        if several {
            evaluation.metrics.push(("mean".to_owned(), evaluation.score));
        }
        Ok(evaluation)
    }
}

impl Task for TaggerTask<'_> {
    type Batch = Vec<usize>;

    fn batches(&self, _epoch: usize, rng: &mut Rng) -> Vec<Vec<usize>> {
        let mut order: Vec<usize> = (0..self.corpora.train.len()).collect();
        rng.shuffle(&mut order);
        batch::by_count(&order, self.config.training.batch_size)
    }

    fn loss(&mut self, batch: &Vec<usize>, rng: &mut Rng) -> Result<Loss, BoxError> {
        Ok(self.batch_loss(batch, rng)?)
    }

    fn evaluate(&mut self) -> Result<Evaluation, BoxError> {
        self.scales = OnceCell::new();
        Ok(self.evaluate_dev()?)
    }

    fn gradient_flow(&self) -> Result<Vec<Vec<f64>>, BoxError> {
        let Some(rnn) = &self.rnn else { return Ok(Vec::new()) };
        let batch = TokenBatch::new(self.corpora.dev.iter().take(FLOW_SENTENCES));
        let rng = &mut Rng::new(self.config.seed, "gradient flow", 0);
        let x = self.vectors(&batch, 0.0, 0.0, rng)?;
        Ok(rnn.gradient_flow(&x, &batch.lengths)?)
    }

    fn params(&self) -> &ParamSet {
        &self.params
    }

    fn save(&self, dir: &Path) -> Result<(), BoxError> {
        Ok(self.save_files(dir)?)
    }

    fn snapshot(&self) -> Snapshot {
        Snapshot { json: self.fingerprint.clone().into(), ..Snapshot::default() }
    }

    fn accepts(&self, json: &serde_json::Value) -> Result<(), BoxError> {
        if *json == *self.fingerprint {
            return Ok(());
        }
        Err(Box::new(Error::Resume {
            problem: "the corpora, the [tagger] or the [model] settings are not those that the \
                      run began with; put them back, or start anew with --force",
        }))
    }
}

/// The class of a tag, or the label itself.
fn class<'a>(labels: &Labels, tag: &'a str) -> &'a str {
    match labels.scheme() {
        Some(_) => tags::parse(tag).1,
        None => tag,
    }
}

/// Weight of each tag; a class of spans weighs all its tags.
fn class_weights(given: &BTreeMap<String, f32>, labels: &Labels) -> Vec<f32> {
    let weight = |tag: &String| given.get(tag).or_else(|| given.get(class(labels, tag)));
    labels.names().iter().map(|tag| weight(tag).copied().unwrap_or(1.0)).collect()
}

/// Refuses a weight of what is a label of no layer.
fn refuse_unknown_classes(config: &TaggerRunConfig, layers: &[Labels]) -> Result<()> {
    let known = |key: &str| {
        layers
            .iter()
            .any(|labels| labels.names().iter().any(|tag| tag == key || class(labels, tag) == key))
    };
    let Some(unknown) = config.tagger.class_weights.keys().find(|key| !known(key)) else {
        return Ok(());
    };
    let names: Vec<String> = layers.iter().flat_map(Labels::names).collect();
    let problem =
        format!("`{unknown}` of tagger.class_weights is none of its labels: {}", names.join(", "));
    Err(Error::Data { path: config.data.train.clone(), line: None, problem })
}

/// Hash of everything a run stands on but its `[training]` settings.
fn fingerprint(
    model: &TaggerModel,
    embeddings: &[Prepared],
    config: &TaggerRunConfig,
    corpora: &Corpora,
    layers: &[TrainedLayer],
) -> Result<String> {
    let mut hash = Sha256::new();
    // The debug form names every field and separates every item.
    hash.update(format!("{model:?}"));
    for embedding in embeddings {
        let items = embedding.dictionary.iter().flat_map(Dictionary::iter);
        items.for_each(|item| hash.update(format!("{item:?}")));
        embedding.given().iter().for_each(|value| hash.update(value.to_le_bytes()));
    }
    for sentence in corpora.train.iter().chain(&corpora.dev) {
        sentence.tokens().for_each(|token| hash.update(format!("{token:?}")));
        hash.update("\n");
    }
    for (column, layer) in config.data.layers().zip(layers) {
        layer.gold.iter().flatten().for_each(|tag| hash.update(tag.to_le_bytes()));
        let dev = gold_columns(&corpora.dev, column)?;
        dev.iter().flatten().for_each(|tag| hash.update(format!("{tag:?}")));
    }
    Ok(format!("{:x}", hash.finalize()))
}

/// Numbers of a sentence's gold tags, in the model's scheme.
fn gold(sentence: &Sentence, column: &str, labels: &Labels) -> Result<Vec<usize>> {
    let column = gold_column(sentence, column)?;
    let names = match labels.scheme() {
        Some(scheme) => tags::convert(&column, scheme),
        None => column.into_iter().map(str::to_owned).collect(),
    };
    let number = |name: &String| {
        labels.number(name).ok_or_else(|| {
            Error::in_sentence(sentence, format!("`{name}` is none of the model's labels"))
        })
    };
    names.iter().map(number).collect()
}
