"""The tables and figures of the thesis as data: the recipes that reproduce them, and the reported results.

Rows from the literature without a recipe are omitted. Figures are stored as curves, since the thesis prints no numbers
for most of them.
"""

import dataclasses
from typing import Any, Dict, Mapping, Optional, Sequence, Tuple

from tf_privinfo.datasets.config import NOISE_LEVELS
from tf_privinfo.reports.thesis_rows import Row, ThesisCurve


def _ntu(cross_subject: Optional[float], cross_view: Optional[float]) -> Dict[str, Optional[float]]:
  return {'cross_subject': cross_subject, 'cross_view': cross_view}


_DISTILLATION = 'modality_distillation'
_SEPARATE = {'connections.direction': 'none'}
_INVERTED = {'connections.direction': 'rgb_to_depth'}
_MAPS = {'hallucination.map_share': 1.0}  # eq. 3.3 alone
_SOFT = {'hallucination.map_share': 0.0}  # eqs. 3.4, 3.5 alone
_BOTH = {'hallucination.map_share': 0.5}  # eq. 3.7
# With connections, the authors' code evaluates step 3 with true depth, injected as in training (docs/fidelity.md,
# row 5).
_INJECTED = {'connections.direction': 'depth_to_rgb'}

# Number of the row -> row: the ablation study.
TABLE_3_2 = {
    '1': Row(_DISTILLATION, {}, 'depth', 'depth', _ntu(70.44, 75.16)),
    '2': Row(_DISTILLATION, {}, 'rgb', 'rgb', _ntu(66.52, 71.39)),
    '3': Row('hoffman', _MAPS, 'hallucination', 'sum', _ntu(64.64, None)),
    '4': Row('hoffman', _SOFT, 'hallucination', 'sum', _ntu(68.60, None)),
    '5': Row('hoffman', _BOTH, 'hallucination', 'sum', _ntu(70.70, None)),
    '6': Row(_DISTILLATION, {}, 'joint', 'depth', _ntu(71.09, 77.30)),
    '7': Row(_DISTILLATION, {}, 'joint', 'rgb', _ntu(66.68, 56.26)),
    '8': Row(_DISTILLATION, {}, 'joint', 'sum', _ntu(79.73, 81.43)),
    '9': Row(_DISTILLATION, _SEPARATE, 'joint', 'sum', _ntu(78.27, 82.11)),
    '10': Row(_DISTILLATION, {**_SEPARATE, **_MAPS}, 'hallucination', 'hall', _ntu(69.93, 70.64)),
    '11': Row(_DISTILLATION, _MAPS, 'hallucination', 'hall', _ntu(70.47, None)),
    '12': Row(_DISTILLATION, _SOFT, 'hallucination', 'hall', _ntu(71.52, None)),
    '13': Row(_DISTILLATION, _BOTH, 'hallucination', 'hall', _ntu(71.93, 74.10)),
    '14': Row(_DISTILLATION, {**_SEPARATE, **_BOTH}, 'hallucination', 'hall', _ntu(71.10, None)),
    '15': Row(_DISTILLATION, {}, 'finetune', 'sum', _ntu(73.42, 77.21)),
}
TABLE_3_2.update({
    f"{number} as in the authors' code": dataclasses.replace(
        TABLE_3_2[number], settings={**_INJECTED, **TABLE_3_2[number].settings}, accuracies='accuracy_with_true_depth')
    for number in ('11', '12', '13')})
# The rows of the authors and of Hoffman et al.
TABLE_3_1 = {
    'depth model, step 1': TABLE_3_2['1'],
    'RGB model, step 1': TABLE_3_2['2'],
    'step 2': TABLE_3_2['8'],
    'Hoffman et al.': TABLE_3_2['3'],
    'step 3': TABLE_3_2['13'],
    'step 4': TABLE_3_2['15'],
}
# The accuracies without noise are the other values of a row.
_NOISE = NOISE_LEVELS[1:]
TABLE_3_3 = {
    'step 2': Row(_DISTILLATION, {}, 'joint', 'sum', {'cross_view': 81.43},
                  noise=dict(zip(_NOISE, (81.34, 81.12, 76.85, 62.47, 51.43, 14.24)))),
    'step 4': Row(_DISTILLATION, {}, 'finetune', 'sum', {'cross_view': 77.21}),
}
# The connections of 6a - 15a are inverted.
TABLE_3_4 = {
    **{number: TABLE_3_2[number] for number in ('1', '2', '6', '7', '8', '13', '15')},
    '6a': Row(_DISTILLATION, _INVERTED, 'joint', 'depth', _ntu(66.6, 73.68)),
    '7a': Row(_DISTILLATION, _INVERTED, 'joint', 'rgb', _ntu(63.98, 61.18)),
    '8a': Row(_DISTILLATION, _INVERTED, 'joint', 'sum', _ntu(74.45, 78.55)),
    '13a': Row(_DISTILLATION, _INVERTED, 'hallucination', 'hall', _ntu(68.47, 72.77)),
    '15a': Row(_DISTILLATION, _INVERTED, 'finetune', 'sum', _ntu(66.86, 73.34)),
}

_ADMD = 'admd'
_NO_BOTTLENECK = {'network.bottleneck': 'none'}

# In the thesis, the depth stream with a bottleneck starts from the one without, which `--init_from` does not support.
TABLE_4_1 = {
    'depth stream': Row(_ADMD, _NO_BOTTLENECK, 'depth', 'depth', _ntu(70.53, None)),
    'hall, 2048': Row(_ADMD, _NO_BOTTLENECK, 'game', 'hall', _ntu(54.25, None)),
    # The target is the depth stream trained on the whole training set.
    'hall, 2048, mini': Row(
        _ADMD, {**_NO_BOTTLENECK, 'stages.rgb.epochs': 0, 'stages.depth.epochs': 0}, 'game', 'hall', _ntu(60.95, None),
        dataset='ntu60_mini', init_from='ntu60'),
    'depth stream, bottleneck': Row(_ADMD, {}, 'depth', 'depth', _ntu(69.13, None)),
    'hall, 128': Row(_ADMD, {}, 'game', 'hall', _ntu(72.14, None)),
}
# Depth streams, according to the header of the table and the teacher of table 4.3. The caption names hallucination
# streams, whose figure for 'pool + conv' is the last one of table 4.3.
TABLE_4_2 = {
    name: Row(_ADMD, {'network.bottleneck': bottleneck}, 'depth', 'depth', figures, dataset='ntu60_mini')
    for name, bottleneck, figures in (
        ('without bottleneck', 'none', _ntu(63.95, 62.70)),
        ('one conv', 'conv7x7', _ntu(55.64, 57.91)),
        ('spatial conv + 1D conv', 'spatial_then_1d', _ntu(53.21, 52.58)),
        ('pool + conv', 'pool_then_conv', _ntu(61.41, 63.15)),
    )}
TABLE_4_3 = {
    'teacher': Row(_ADMD, {}, 'depth', 'depth', _ntu(61.41, None), dataset='ntu60_mini'),
    'F(x), 0/1': Row('naive_adversarial', {}, 'game', 'hall', _ntu(1.81, None), dataset='ntu60_mini'),
    'F(x), classes': Row(
        _ADMD, {'discriminator.frame_index': False}, 'game', 'hall', _ntu(59.87, None), dataset='ntu60_mini'),
    'F(x) || y_t, classes': Row(_ADMD, {}, 'game', 'hall', _ntu(63.03, None), dataset='ntu60_mini'),
}


def _mini_first(stage: str, stream: str, cross_subject: float, cross_view: float) -> Row:
  """A row of ADMD on NTU: the depth stream is first trained on mini-NTU (section 4.3.3)."""
  return Row(_ADMD, {}, stage, stream, _ntu(cross_subject, cross_view), init_from='ntu60_mini')


def _nwucla(method: str, stage: str, stream: str, figure: float, settings: Mapping[str, Any]) -> Row:
  """A row of chapter 4 on NW-UCLA: the streams are first trained on NTU (section 4.3.1)."""
  return Row(method, {'new_classifier': True, **settings}, stage, stream, {'cross_view_3': figure}, dataset='nwucla',
             init_from='ntu60')


# Number of the row, and 'nwucla' for the last column -> row.
TABLE_4_4 = {
    '6': TABLE_3_2['1'],
    '6 nwucla': _nwucla(_DISTILLATION, 'depth', 'depth', 72.38, {}),
    '7': Row(_ADMD, _NO_BOTTLENECK, 'depth', 'depth', _ntu(70.53, 76.47)),
    '8': _mini_first('depth', 'depth', 71.87, 75.32),
    '8 nwucla': _nwucla(_ADMD, 'depth', 'depth', 71.09, {}),
    # Row 2 of table 3.2, where the second figure is 71.39; here it equals row 10.
    '9': Row(_DISTILLATION, {}, 'rgb', 'rgb', _ntu(66.52, 80.01)),
    '9 nwucla': _nwucla(_DISTILLATION, 'rgb', 'rgb', 85.22, {}),
    '10': _mini_first('rgb', 'rgb', 67.95, 80.01),
    '10 nwucla': _nwucla(_ADMD, 'rgb', 'rgb', 85.87, {}),
    '18': TABLE_3_2['8'],
    '18 nwucla': _nwucla(_DISTILLATION, 'joint', 'sum', 88.87, {}),
    '19': _mini_first('joint', 'sum', 77.74, 85.49),
    '19 nwucla': _nwucla(_ADMD, 'joint', 'sum', 89.93, {}),
    '20': TABLE_3_2['3'],
    '20 nwucla': _nwucla('hoffman', 'hallucination', 'sum', 83.30, _MAPS),
    # A two-stream model according to section 4.3.3, the hallucination stream according to table 3.2.
    '22': TABLE_3_2['13'],
    '22 nwucla': _nwucla(_DISTILLATION, 'hallucination', 'hall', 76.30, _BOTH),
    '23': TABLE_3_2['15'],
    '23 nwucla': _nwucla(_DISTILLATION, 'finetune', 'sum', 86.72, {}),
    '24': _mini_first('game', 'hall', 67.57, 71.80),
    '24 nwucla': _nwucla(_ADMD, 'game', 'hall', 83.94, {}),
    '25': _mini_first('fused', 'sum', 73.11, 81.50),
    '25 nwucla': _nwucla(_ADMD, 'fused', 'sum', 91.64, {}),
}


def _nyud(method: str, settings: Mapping[str, Any], stage: str, stream: str, figure: float, **more) -> Row:
  return Row(method, settings, stage, stream, {'given': figure}, dataset='nyud', **more)


TABLE_4_5 = {
    'depth alone': _nyud('two_stream', {}, 'depth', 'depth', 40.19),
    'RGB alone': _nyud('two_stream', {}, 'rgb', 'rgb', 52.90),
    'RGB ensemble': _nyud('ensemble', {}, 'joint', 'sum', 54.14),
    'two-stream (average logits)': _nyud('two_stream', {'stages.joint.epochs': 0}, 'joint', 'sum', 57.39),
    'two-stream after finetuning': _nyud('two_stream', {}, 'joint', 'sum', 58.73),
    'ModDrop, RGB + depth': _nyud('moddrop', {}, 'moddrop', 'sum', 58.93),
    'ModDrop, RGB + blank depth': _nyud(
        'moddrop', {}, 'moddrop', 'sum', 47.86, accuracies='accuracy_with_void_depth'),
    'ModDrop, RGB': _nyud('moddrop', {}, 'moddrop', 'rgb', 53.73),
    'autoencoder': _nyud('autoencoder', {}, 'fused', 'sum', 50.52),
    # The depth images of this estimator are in a folder of this name.
    'FCRN depth estimation': _nyud('two_stream', {}, 'joint', 'sum', 50.23, depth_variant='fcrn'),
    'hallucination model': _nyud(_DISTILLATION, {}, 'fused', 'sum', 55.94),
    'naive adversarial': _nyud('naive_adversarial', {}, 'fused', 'sum', 50.81),
    'ADMD': _nyud(_ADMD, {}, 'fused', 'sum', 57.52),
}

TABLE_4_6 = {
    'NTU, ADMD': Row(_ADMD, {}, 'fused', 'sum', {'cross_view': 81.50}, init_from='ntu60_mini'),
    'NTU, two-stream': Row(
        _ADMD, {}, 'joint', 'sum', {'cross_view': 85.49}, init_from='ntu60_mini',
        noise=dict(zip(_NOISE, (85.52, 82.05, 68.99, 2.16, 3.35, 8.55)))),
    'NYUD, ADMD': _nyud(_ADMD, {}, 'fused', 'sum', 57.52),
    'NYUD, two-stream': _nyud(
        'two_stream', {}, 'joint', 'sum', 58.73,
        noise=dict(zip(_NOISE, (58.68, 58.23, 57.18, 48.27, 28.40, 47.44)))),
    'NYUD, ModDrop': _nyud(
        'moddrop', {}, 'moddrop', 'sum', 58.93,
        noise=dict(zip(_NOISE, (58.89, 58.56, 57.49, 48.90, 25.95, 47.86)))),
}

# Chapter 5. For UWA3DII, the thesis only states that two views are for training and two for testing.
_PROTOCOLS = {
    'nwucla': 'cross_view_1', 'uwa3dii': 'cross_view_12_34', 'ntu60': 'cross_subject', 'ntu120_mini': 'cross_subject',
    'ntu120': 'cross_subject'}


def _ensembles(streams: Sequence[str], figures: Mapping[Tuple[str, str], Sequence[float]]) -> Dict[str, Row]:
  """Rows named 'dataset, method, stream', from (dataset, method) -> figures of the first ones among `streams`."""
  return {
      f'{dataset}, {method}, {stream}': Row(
          method, {}, 'ensemble', stream, {_PROTOCOLS[dataset]: figure}, dataset=dataset)
      for (dataset, method), accuracies in figures.items() for stream, figure in zip(streams, accuracies)}


# The figures of NTU120mini are means over three such parts.
TABLE_5_1 = _ensembles(('rgb', 'sum', 'oracle'), {
    ('nwucla', 'independent'): (87.53, 93.79, 97.86),
    ('nwucla', 'smcl'): (24.83, 49.00, 86.79),
    ('nwucla', 'cmcl'): (11.13, 84.73, 89.65),
    ('nwucla', 'dmcl'): (93.64, 93.28, 97.64),
    ('uwa3dii', 'independent'): (73.74, 89.75, 95.52),
    ('uwa3dii', 'smcl'): (25.19, 60.70, 88.51),
    ('uwa3dii', 'cmcl'): (22.28, 31.90, 83.89),
    ('uwa3dii', 'dmcl'): (78.39, 89.50, 94.96),
    ('ntu120_mini', 'independent'): (79.66, 86.57, 92.11),
    ('ntu120_mini', 'smcl'): (26.67, 62.22, 86.19),
    ('ntu120_mini', 'cmcl'): (29.61, 5.28, 86.29),
    ('ntu120_mini', 'dmcl'): (81.25, 86.23, 91.71),
    ('ntu120', 'independent'): (84.86, 89.74, 94.36),
    ('ntu120', 'smcl'): (22.31, 5.54, 79.81),
    ('ntu120', 'cmcl'): (22.37, 5.06, 85.20),
    ('ntu120', 'dmcl'): (84.31, 88.46, 93.21),
})
# Σ and Φ of DMCL on UWA3DII differ from table 5.1.
TABLE_5_2 = _ensembles(('rgb', 'depth', 'flow', 'sum', 'oracle'), {
    ('nwucla', 'independent'): (87.53, 80.30, 89.58, 93.79, 97.86),
    ('nwucla', 'random_teacher'): (89.57, 57.81, 89.43, 86.93, 95.71),
    ('nwucla', 'dmcl'): (93.64, 83.29, 91.07, 93.28, 97.64),
    ('uwa3dii', 'independent'): (73.74, 77.09, 89.66, 89.75, 95.52),
    ('uwa3dii', 'random_teacher'): (71.07, 79.07, 85.03, 84.47, 92.60),
    ('uwa3dii', 'dmcl'): (78.39, 81.87, 88.26, 88.51, 94.59),
})
# Modality -> {k: accuracy of k nearest neighbours on features of untrained networks}.
NEIGHBOURS = (1, 5, 10, 50, 120)
TABLE_5_3 = {
    'rgb': dict(zip(NEIGHBOURS, (10.53, 10.74, 11.11, 11.32, 12.26))),
    'depth': dict(zip(NEIGHBOURS, (9.72, 10.68, 10.77, 15.37, 13.31))),
    'flow': dict(zip(NEIGHBOURS, (23.23, 23.96, 25.31, 26.35, 24.53))),
}
TABLE_5_4 = {
    **_ensembles(('rgb', 'depth', 'flow', 'sum'), {
        ('uwa3dii', 'independent'): (73.74, 77.09, 89.66, 89.75),
        ('uwa3dii', 'dmcl'): (78.39, 81.87, 88.26),
        ('nwucla', 'independent'): (87.52, 80.30, 89.58, 93.9),
        ('nwucla', 'dmcl'): (93.64, 83.29, 91.07),
    }),
    # In the authors' code of chapter 3, three views are for training and the fourth for testing.
    'uwa3dii, hoffman': Row('hoffman', _MAPS, 'hallucination', 'sum', {'cross_view_4': 66.67}, dataset='uwa3dii'),
    'uwa3dii, modality_distillation': Row(
        _DISTILLATION, {}, 'finetune', 'sum', {'cross_view_4': 73.23}, dataset='uwa3dii'),
    'nwucla, hoffman': TABLE_4_4['20 nwucla'],
    'nwucla, modality_distillation': TABLE_4_4['23 nwucla'],
    'nwucla, admd': TABLE_4_4['25 nwucla'],
}
TABLE_5_5 = {
    **_ensembles(('rgb', 'depth', 'flow', 'sum'), {
        ('ntu60', 'independent'): (77.59, 78.97, 81.43, 87.25),
        ('ntu60', 'dmcl'): (83.61, 80.56, 85.65),
        ('ntu120_mini', 'independent'): (79.66, 78.67, 84.21, 86.57),
        ('ntu120_mini', 'dmcl'): (81.25, 78.98, 84.45),
        ('ntu120', 'independent'): (84.86, 83.32, 86.72, 89.74),
        ('ntu120', 'dmcl'): (84.31, 82.22, 86.44),
    }),
    # Assigned by their figures; the names are interchanged in the thesis.
    'ntu60, modality_distillation': Row(_DISTILLATION, {}, 'finetune', 'sum', {'cross_subject': 73.4}),
    'ntu60, admd': Row(_ADMD, {}, 'fused', 'sum', {'cross_subject': 73.11}, init_from='ntu60_mini'),
}

# Number of the table -> name of the row -> row. Table 5.3, which has no recipe, is not among them.
TABLES: Dict[str, Dict[str, Row]] = {
    '3.1': TABLE_3_1, '3.2': TABLE_3_2, '3.3': TABLE_3_3, '3.4': TABLE_3_4, '4.1': TABLE_4_1, '4.2': TABLE_4_2,
    '4.3': TABLE_4_3, '4.4': TABLE_4_4, '4.5': TABLE_4_5, '4.6': TABLE_4_6, '5.1': TABLE_5_1, '5.2': TABLE_5_2,
    '5.4': TABLE_5_4, '5.5': TABLE_5_5}

_LOSS_3_4 = 'hallucination loss, eq. 3.3'
# Number of the figure -> name of the curve -> curve.
FIGURES: Dict[str, Dict[str, ThesisCurve]] = {
    # In the thesis, training without connections is restarted at a different learning rate.
    '3.4': {
        'without connections (row 14)': ThesisCurve(
            _DISTILLATION, {**_SEPARATE, **_BOTH}, 'hallucination', 'loss_maps/hall', 'ntu60', 'cross_subject',
            _LOSS_3_4),
        'with connections (row 13)': ThesisCurve(
            _DISTILLATION, _BOTH, 'hallucination', 'loss_maps/hall', 'ntu60', 'cross_subject', _LOSS_3_4)},
    '4.5': {
        'two streams': ThesisCurve(_ADMD, {}, 'switch', 'trusted', 'nyud', 'given', 'accuracy', paper={
            '0': TABLE_4_6['NYUD, two-stream'].reported['given'], **TABLE_4_6['NYUD, two-stream'].noise}),
        'discriminator': ThesisCurve(_ADMD, {}, 'switch', 'fake_probability', 'nyud', 'given', 'probability of fake')},
    # Means over three runs; the thesis shows the loss.
    '5.3': {
        f'{modality}, {axis}': ThesisCurve(
            'independent', {}, 'ensemble', f'{quantity}/{modality}', 'uwa3dii', _PROTOCOLS['uwa3dii'], axis)
        for quantity, axis in (('loss_hard', 'cross entropy'), ('accuracy', 'accuracy on training clips'))
        for modality in ('rgb', 'depth', 'flow')},
}

# Report -> title.
TITLES = {
    'table_3_1': 'Modality distillation and other methods on NTU RGB+D',
    'table_3_2': 'Ablation study of modality distillation',
    'table_3_3': 'Modality distillation under noisy depth',
    'table_3_4': 'Inverted cross-stream connections',
    'table_4_1': 'ADMD: size of the bottleneck',
    'table_4_2': 'ADMD: form of the bottleneck',
    'table_4_3': 'ADMD: input and task of the discriminator',
    'table_4_4': 'ADMD and other methods on videos',
    'table_4_5': 'Recognition of objects',
    'table_4_6': 'Two streams under noisy depth',
    'table_5_1': 'Methods of multiple choice learning',
    'table_5_2': 'The choice of the teacher',
    'table_5_3': 'Nearest neighbours on features of untrained networks',
    'table_5_4': 'DMCL and other methods on UWA3DII and NW-UCLA',
    'table_5_5': 'DMCL and other methods on NTU RGB+D',
    'figure_3_4': 'The hallucination loss with and without connections',
    'figure_4_5': "The discriminator's confidence over noise on depth",
    'figure_5_3': 'Learning curves of each modality alone',
}
