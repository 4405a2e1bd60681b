"""This file knows how to answer `python -m utils.models.insides`."""

from utils.models.insides.report import main

raise SystemExit(main())
