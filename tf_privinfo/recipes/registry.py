"""All methods by name, and their recipes on each dataset."""

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
        multiple_choice.form('tf_privinfo.methods.multiple_choice:DMCL', loser=LoserConfig()),
        minutes={('synthetic', 'small'): 8}),
    'smcl': MethodSpec(
        'stochastic multiple choice learning: only the winner learns',
        multiple_choice.form('tf_privinfo.methods.multiple_choice:SMCL')),
    'cmcl': MethodSpec(
        'confident multiple choice learning: losers learn a uniform prediction',
        multiple_choice.form('tf_privinfo.methods.multiple_choice:CMCL')),
    'independent': MethodSpec(
        'every network trained alone, with cross entropy',
        multiple_choice.form('tf_privinfo.methods.multiple_choice:Independent')),
    'random_teacher': MethodSpec(
        'DMCL with a random teacher for each sample (table 5.2)',
        multiple_choice.form('tf_privinfo.methods.multiple_choice:RandomTeacher', loser=LoserConfig())),
    'modality_distillation': MethodSpec(
        'hallucination stream that replaces depth, trained in four steps (chapter 3)',
        two_stream.MODALITY_DISTILLATION, objects.MODALITY_DISTILLATION),
    'hoffman': MethodSpec('hallucination stream trained end to end, without a staged teacher', two_stream.HOFFMAN),
    'admd': MethodSpec(
        'hallucination stream trained adversarially against a discriminator of C + 1 classes (chapter 4)',
        two_stream.ADMD, objects.ADMD),
    'naive_adversarial': MethodSpec(
        'ADMD with a discriminator that only separates real from fake (table 4.3)',
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
    'small': 'trained on a CPU in minutes',
    'tiny': 'trained in seconds, for tests',
}
VARIANTS = {
    'code': "as in the authors' code",
    'thesis': 'as in the text of the thesis',
}


def form(method: str, dataset: str) -> Optional[Form]:
  """The form of a method for the samples of a dataset; None if it has none."""
  spec = METHODS[method]
  return spec.objects if DATASETS[dataset].objects else spec.videos


def methods(dataset: str) -> List[str]:
  """The methods that have a recipe on a dataset; raises `UserError` for an unknown dataset."""
  errors.refuse_unknown('dataset', dataset, DATASETS)
  return [method for method in METHODS if form(method, dataset)]


def default_preset(dataset: str) -> str:
  """The default preset of a dataset: `small` for rendered data, otherwise `paper`."""
  return DATASETS[dataset].default_preset


def default_protocol(method: str, dataset: str) -> Optional[str]:
  """The default protocol of a method, if it differs from the default protocol of the dataset; otherwise None.

  Source: the authors' code of chapters 3 and 4.
  """
  videos = METHODS[method].videos
  is_of_chapter_5 = videos is not None and bool(videos.method)
  return None if is_of_chapter_5 else DATASETS[dataset].two_stream_protocol


def recipe(method: str, dataset: str, protocol: str, preset: str = 'paper', variant: str = 'code',
           seed: int = 0) -> Recipe:
  """The recipe of a method on a dataset.

  Args:
    method: key of `METHODS`.
    dataset: key of `DATASETS`.
    protocol: name of one of the dataset's protocols.
    preset: key of `PRESETS`.
    variant: key of `VARIANTS`.
    seed: seed of the run.

  Raises:
    UserError: for an unknown name, and for a method that has no recipe on the dataset.
  """
  for flag, value, known in (('method', method, METHODS), ('dataset', dataset, DATASETS),
                             ('preset', preset, PRESETS), ('variant', variant, VARIANTS)):
    errors.refuse_unknown(flag, value, known)
  chosen = form(method, dataset)
  if not chosen:
    raise errors.UserError(f'--method={method} is not one for {dataset}: choose one of {", ".join(methods(dataset))}.')
  result = Recipe(method, dataset, protocol, preset, variant, seed, chosen.modalities, stages=chosen.stages,
                  **chosen.sections)
  return chosen.complete(result, DATASETS[dataset])
