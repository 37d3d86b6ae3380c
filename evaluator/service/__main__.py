"""``python -m evaluator.service``: the evaluation worker."""

from evaluator.service.worker import main

main()
