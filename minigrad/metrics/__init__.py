"""How good answers are: of answers at hand (`answers`), and of more rows than memory holds (`streaming`)."""

from minigrad.metrics.answers import (
    ClassificationReport as ClassificationReport,
    accuracy as accuracy,
    average_precision_score as average_precision_score,
    brier_score as brier_score,
    brier_terms as brier_terms,
    classification_report as classification_report,
    confusion_matrix as confusion_matrix,
    lift as lift,
    log_loss as log_loss,
    log_loss_terms as log_loss_terms,
    majority_baseline as majority_baseline,
    mean_absolute_error as mean_absolute_error,
    mean_squared_error as mean_squared_error,
    r2_score as r2_score,
    roc_auc_score as roc_auc_score,
    wilson_interval as wilson_interval,
)
