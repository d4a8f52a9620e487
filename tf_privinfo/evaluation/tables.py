"""Results as text for a terminal."""

from typing import Any, Callable, Dict, List, Mapping, Sequence, Tuple

from tf_privinfo.evaluation import metrics
from tf_privinfo.utils import markdown


def stages_table(runs: Sequence[Mapping[str, Any]], show: Callable[[List[float]], str]
                 ) -> Tuple[Sequence[str], List[Sequence[str]]]:
  """Header and rows of a table of the accuracies after each stage, for runs of one recipe.

  Args:
    runs: value of `stages` in `results.json`, for each run.
    show: function from the values of all runs to the text of a cell.
  """
  rows = []
  for stage, result in runs[0].items():
    for key in result:
      if key == 'reads' or any(key not in run[stage] for run in runs):
        continue
      condition = '' if key == 'accuracy' else f' ({key.removeprefix("accuracy_with_").replace("_", " ")})'
      texts = {name: show([run[stage][key][name] for run in runs]) for name in result[key]}
      streams = ', '.join(f'{name} {text}' for name, text in texts.items() if name not in ('sum', 'oracle'))
      rows.append((stage, ' + '.join(result['reads']) + condition, streams, texts['sum']))
  return ('stage', 'reads at test time', 'streams', 'Σ'), rows


def results_table(results: Dict[str, Any]) -> str:
  """The content of `results.json` as text."""
  accuracy, subsets = results['accuracy'], results['subset_accuracy']
  clips_each = f'{results["clips_per_video"]} clip{"s" if results["clips_per_video"] > 1 else ""} each'
  lines = [
      f'{results["method"]} on {results["dataset"]}, {results["protocol"]}, preset {results["preset"]}, '
      f'seed {results["seed"]}: {results["samples"]} test samples, {clips_each}', '']
  if len(results['stages']) > 1:
    lines += [*markdown.table(*stages_table([results['stages']], lambda values: f'{values[0]:.2%}')), '',
              f'After the last stage, {list(results["stages"])[-1]}:', '']
  lines += [*markdown.table(('streams that predict', 'accuracy'), [
      *((name.replace('+', ' + '), f'{value:.2%}') for name, value in subsets.items()),
      ('Σ (sum of all predictions)', f'{accuracy["sum"]:.2%}'),
      ('Φ (oracle: any stream right)', f'{accuracy["oracle"]:.2%}')]), '']
  of_streams = results['class_accuracy']
  rows = []
  for label in next(iter(of_streams.values())):
    values = [values[label] for values in of_streams.values()]
    rows.append((label, *('-' if value is None else f'{value:.0%}' for value in values)))
  return '\n'.join([*lines, *markdown.table(('class', *of_streams), rows)])


def noise_table(result: Dict[str, Any]) -> str:
  """The content of `noise.json` as text, in the form of tables 3.3 and 4.6."""
  stages = result['stages']
  levels = list(next(iter(stages.values())))
  modality = result.get('modality', 'depth')  # earlier versions did not write it
  lines = markdown.table((f'noise on {modality}', *levels), [
      (stage, *(f'{value:.2%}' for value in values.values())) for stage, values in stages.items()])
  *others, last = stages
  for stage in others:
    better = [level for level in levels if stages[last][level] > stages[stage][level]]
    if better and better != levels:
      lines.append(f'\n{last} is better than {stage} at {", ".join(better)}.')
  return '\n'.join(lines + (switch_lines(result['switch'], modality) if 'switch' in result else []))


def switch_lines(switch: Dict[str, Any], modality: str) -> List[str]:
  """The content of `switch.json` as lines of text: the switch over the levels of noise on a modality."""
  levels = switch['levels']
  names = {'trusted': f'{modality} trusted', 'hallucinated': f'{modality} hallucinated', 'switched': 'switched',
           'hallucinated_share': 'share of samples switched', 'fake_probability': 'mean fake probability'}
  rows = [(text, *(f'{values[name]:.2%}' for values in levels.values())) for name, text in names.items()]
  if 'roc' in switch:
    rows.append(('area under the ROC', *(
        f'{switch["roc"][level]["auc"]:.3f}' if level in switch['roc'] else '-' for level in levels)))
  regret, worst = max((metrics.regret(values['trusted'], values['hallucinated'], values['switched']), level)
                      for level, values in levels.items())
  return ['', f'The switch, at fake probabilities above {switch["threshold"]:.3g}:', '',
          *markdown.table((f'noise on {modality}', *levels), rows), '',
          f'It is at most {100 * regret:.1f} points below the better branch (noise {worst}).']


def neighbours_table(result: Dict[str, Any]) -> str:
  """The content of `random_features.json` as text, in the form of table 5.3."""
  rows = result['accuracy']
  levels = list(next(iter(rows.values())))
  return '\n'.join([
      f'Untrained networks: {result["training_samples"]} training samples, {result["samples"]} test samples', '',
      *markdown.table(('modality', *(f'k = {level}' for level in levels)), [
          (modality, *(f'{value:.2%}' for value in values.values())) for modality, values in rows.items()])])
