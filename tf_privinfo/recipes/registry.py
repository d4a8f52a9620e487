"""Every method by its name, and the recipe of each on each dataset."""

from typing import Dict, List, Optional

from tf_privinfo.datasets.registry import DATASETS
from tf_privinfo.methods.config import LoserConfig
from tf_privinfo.recipes import multiple_choice, objects, two_stream
from tf_privinfo.recipes.method import Form, MethodSpec
from tf_privinfo.recipes.recipe import Recipe
from tf_privinfo.utils import errors

METHODS: Dict[str, MethodSpec] = {
    'dmcl': MethodSpec(
        'distillation multiple choice learning (chapter 5)',
        multiple_choice.form('tf_privinfo.methods.multiple_choice:DMCL', loser=LoserConfig())),
    'smcl': MethodSpec(
        'stochastic multiple choice learning: only the winner learns',
        multiple_choice.form('tf_privinfo.methods.multiple_choice:SMCL')),
    'cmcl': MethodSpec(
        'confident multiple choice learning: losers learn to be unsure',
        multiple_choice.form('tf_privinfo.methods.multiple_choice:CMCL')),
    'independent': MethodSpec(
        'every network alone, with cross entropy',
        multiple_choice.form('tf_privinfo.methods.multiple_choice:Independent')),
    'random_teacher': MethodSpec(
        'DMCL with a random teacher for each sample (table 5.2)',
        multiple_choice.form('tf_privinfo.methods.multiple_choice:RandomTeacher', loser=LoserConfig())),
    'modality_distillation': MethodSpec(
        'four steps to a hallucination stream that stands in for depth (chapter 3)',
        two_stream.MODALITY_DISTILLATION, objects.MODALITY_DISTILLATION),
    'hoffman': MethodSpec('hallucination learned end to end, without a staged teacher', two_stream.HOFFMAN),
    'admd': MethodSpec(
        'hallucination stream trained adversarially against a discriminator of C + 1 classes (chapter 4)',
        two_stream.ADMD, objects.ADMD),
    'naive_adversarial': MethodSpec(
        'the same with a discriminator that separates real from fake alone (table 4.3)',
        two_stream.NAIVE_ADVERSARIAL, objects.NAIVE_ADVERSARIAL),
    'two_stream': MethodSpec(
        'late fusion of RGB and depth, fine-tuned jointly', two_stream.TWO_STREAM, objects.TWO_STREAM),
    'single_stream': MethodSpec('one modality alone', two_stream.SINGLE_STREAM, objects.SINGLE_STREAM),
    'ensemble': MethodSpec(
        'two RGB networks from different seeds', two_stream.TWO_RGB_STREAMS, objects.TWO_RGB_STREAMS),
    'moddrop': MethodSpec(
        'two streams fine-tuned with dropped modalities (objects, table 4.5)', objects=objects.MODDROP),
    'autoencoder': MethodSpec('depth images estimated from RGB (objects, table 4.5)', objects=objects.AUTOENCODER),
}
PRESETS = {
    'paper': "the thesis' sizes",
    'small': 'a CPU trains it in minutes',
    'tiny': 'seconds, for tests',
}
VARIANTS = {
    'code': "what the authors' code computes",
    'thesis': 'what the text says',
}


def form(method: str, dataset: str) -> Optional[Form]:
  """The form of a method for the samples of a dataset; None if it has none."""
  spec = METHODS[method]
  return spec.objects if DATASETS[dataset].objects else spec.videos


def methods(dataset: str) -> List[str]:
  """The methods that a dataset has recipes of; raises `UserError` for an unknown dataset."""
  if dataset not in DATASETS:
    raise errors.UserError(f'Unknown --dataset={dataset}: choose one of {", ".join(DATASETS)}.')
  return [method for method in METHODS if form(method, dataset)]


def default_preset(dataset: str) -> str:
  """The sizes that fit a laptop, where data are rendered; otherwise the thesis' sizes."""
  return DATASETS[dataset].default_preset


def default_protocol(method: str, dataset: str) -> Optional[str]:
  """The protocol of the authors' code where a method has another one than its dataset; otherwise None."""
  videos = METHODS[method].videos
  is_of_chapter_5 = videos is not None and bool(videos.method)
  return None if is_of_chapter_5 else DATASETS[dataset].two_stream_protocol


def recipe(method: str, dataset: str, protocol: str, preset: str = 'paper', variant: str = 'code',
           seed: int = 0) -> Recipe:
  """The recipe of a method on a dataset; raises `UserError` for unknown names."""
  for flag, value, known in (('method', method, METHODS), ('dataset', dataset, DATASETS),
                             ('preset', preset, PRESETS), ('variant', variant, VARIANTS)):
    if value not in known:
      raise errors.UserError(f'Unknown --{flag}={value}: choose one of {", ".join(known)}.')
  chosen = form(method, dataset)
  if not chosen:
    raise errors.UserError(f'--method={method} is not one for {dataset}: choose one of {", ".join(methods(dataset))}.')
  result = Recipe(method, dataset, protocol, preset, variant, seed, chosen.modalities, stages=chosen.stages,
                  **chosen.sections)
  return chosen.complete(result, DATASETS[dataset])
