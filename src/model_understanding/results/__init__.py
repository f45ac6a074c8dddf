"""Results: frozen values between the code that computes (torch) and the code that shows (no torch).

Every type converts to JSON and back (``to_json``, ``from_json``); its arrays are read-only, and its shapes
are checked on construction.
"""

from model_understanding.results.answer_map import AnswerMap as AnswerMap
from model_understanding.results.answer_map import Statement as Statement
from model_understanding.results.assessment_summary import AssessmentSummary as AssessmentSummary
from model_understanding.results.assessment_summary import MetricMean as MetricMean
from model_understanding.results.attention_map import AttentionMap as AttentionMap
from model_understanding.results.attribution import Attribution as Attribution
from model_understanding.results.choices import Choices as Choices
from model_understanding.results.dataset_summary import DatasetComparison as DatasetComparison
from model_understanding.results.dataset_summary import DatasetSummary as DatasetSummary
from model_understanding.results.estimate import Estimate as Estimate
from model_understanding.results.evaluation import Assessment as Assessment
from model_understanding.results.evaluation import Evaluation as Evaluation
from model_understanding.results.evaluation import Limits as Limits
from model_understanding.results.failure import Failure as Failure
from model_understanding.results.generation import Generation as Generation
from model_understanding.results.head_scores import HeadScores as HeadScores
from model_understanding.results.head_scores import RankedHead as RankedHead
from model_understanding.results.ledger import Ledger as Ledger
from model_understanding.results.ledger import LedgerPlace as LedgerPlace
from model_understanding.results.logit_lens import LogitLens as LogitLens
from model_understanding.results.mask_filling import MaskFilling as MaskFilling
from model_understanding.results.model_diff import ModelDiff as ModelDiff
from model_understanding.results.model_diff import ModuleChange as ModuleChange
from model_understanding.results.model_diff import Restoration as Restoration
from model_understanding.results.model_diff_summary import ModelDiffSummary as ModelDiffSummary
from model_understanding.results.model_diff_summary import ModuleMean as ModuleMean
from model_understanding.results.prediction import Prediction as Prediction
from model_understanding.results.provenance import Provenance as Provenance
from model_understanding.results.pseudo_likelihood import PseudoLikelihood as PseudoLikelihood
from model_understanding.results.query_key import QueryKey as QueryKey
from model_understanding.results.report import Report as Report
from model_understanding.results.reports import load_reports as load_reports
from model_understanding.results.reports import save_reports as save_reports
from model_understanding.results.serialization import result_from_json as result_from_json
from model_understanding.results.span_answer import AnswerSpan as AnswerSpan
from model_understanding.results.span_answer import SpanAnswer as SpanAnswer
from model_understanding.results.tagging import Entity as Entity
from model_understanding.results.tagging import Tagging as Tagging
from model_understanding.results.target import Target as Target
from model_understanding.results.token_links import TokenLinks as TokenLinks
