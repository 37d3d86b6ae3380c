;;; tvix-lsp.el --- Evaluating Nix language server for Eglot  -*- lexical-binding: t; -*-

;; Copyright (c) 2026 tvix-lsp contributors

;; Author: tvix-lsp contributors
;; Version: 0.1.0
;; Package-Requires: ((emacs "28.1") (eglot "1.9"))
;; Keywords: languages, tools
;; SPDX-License-Identifier: MIT

;;; Commentary:

;; Connects Eglot to `tvix-lsp', a Nix language server that evaluates the
;; file you are editing.  Loading this file registers the server:
;;
;;     (require 'tvix-lsp)
;;     (add-hook 'nix-mode-hook #'eglot-ensure)       ; with nix-mode
;;     (add-hook 'tvix-nix-mode-hook #'eglot-ensure)  ; without
;;
;; Instead of the hooks, `M-x eglot' in a Nix buffer does it once.  Set
;; `tvix-lsp-command' when the server is not on the variable `exec-path'.
;;
;; What a value needs that has to be built first (import from derivation) is
;; reported as a note; `M-x eglot-code-actions' there has it built.  To have
;; everything built that is needed, or nothing, say "always" or "never":
;;
;;     (setq-default eglot-workspace-configuration
;;                   '(:tvix-lsp (:builds "always")))
;;
;; `tvix-nix-mode' is a small major mode for an Emacs without nix-mode:
;; comments, strings, a few colours, and indentation by brackets.  Where
;; nix-mode or nix-ts-mode is installed, .nix files keep opening in it.

;;; Code:

(defgroup tvix-lsp nil
  "Evaluating Nix language server."
  :group 'languages
  :prefix "tvix-")

(defcustom tvix-lsp-command '("tvix-lsp" "--stdio")
  "The command that starts the server: the program, then its arguments."
  :type '(repeat string))

;;;; Eglot

(defvar eglot-server-programs)

;;;###autoload
(defun tvix-lsp-contact (&optional _interactive _project)
  "Return `tvix-lsp-command', as the functions in `eglot-server-programs' do."
  tvix-lsp-command)

;; In front of Eglot's own entry, which names another server.  The language
;; identifier is spelled out because Eglot would derive "tvix-nix" from the
;; name of the mode.
;;;###autoload
(with-eval-after-load 'eglot
  (add-to-list 'eglot-server-programs
               '(((nix-mode :language-id "nix")
                  (nix-ts-mode :language-id "nix")
                  (tvix-nix-mode :language-id "nix"))
                 . tvix-lsp-contact)))

;;;; Syntax and colours of the fallback mode

(defvar tvix-nix-mode-syntax-table
  (let ((table (make-syntax-table)))
    (modify-syntax-entry ?# "< b" table)
    (modify-syntax-entry ?\n "> b" table)
    (modify-syntax-entry ?/ ". 14" table)
    (modify-syntax-entry ?* ". 23" table)
    ;; A quote may be part of a name (foldl'); two of them delimit a string,
    ;; which `tvix-nix--propertize' sees to.
    (dolist (char '(?_ ?- ?'))
      (modify-syntax-entry char "_" table))
    (dolist (char '(?. ?, ?\; ?: ?@ ?? ?! ?= ?< ?> ?+ ?& ?| ?$ ?~ ?^))
      (modify-syntax-entry char "." table))
    table)
  "Syntax table of `tvix-nix-mode'.")

(defun tvix-nix--close-string (end)
  "Mark the end of the indented string around point, if it is before END.
Leave point behind it, else at END."
  (let (closed)
    ;; Three quotes, and two before a dollar or a backslash, are escapes.
    (while (and (not closed)
                (re-search-forward "''\\(['$\\]\\)?" end 'move))
      (unless (match-beginning 1)
        (put-text-property (1- (point)) (point)
                           'syntax-table (string-to-syntax "|"))
        (setq closed t)))))

(defun tvix-nix--propertize (start end)
  "Mark the delimiters of the indented strings between START and END.
A string nested in an interpolation of another is taken for the other's end,
which is in step again after it."
  (goto-char start)
  (when (eq t (nth 3 (syntax-ppss start)))
    (tvix-nix--close-string end))
  (while (re-search-forward "''" end 'move)
    (let ((quotes (match-beginning 0)))
      (unless (or (nth 8 (save-excursion (syntax-ppss quotes)))
                  (tvix-nix--in-name-p quotes))
        (put-text-property quotes (1+ quotes)
                           'syntax-table (string-to-syntax "|"))
        (tvix-nix--close-string end)))))

(defun tvix-nix--in-name-p (position)
  "Tell whether the quote at POSITION belongs to the name before it."
  (save-excursion
    (goto-char position)
    (and (< (skip-chars-backward "[:alnum:]_'-") 0)
         (looking-at-p "[[:alpha:]_]"))))

(defconst tvix-nix--font-lock-keywords
  `((,(regexp-opt '("assert" "else" "if" "in" "inherit" "let" "or" "rec"
                    "then" "with")
                  'symbols)
     . font-lock-keyword-face)
    (,(regexp-opt '("abort" "builtins" "import" "throw") 'symbols)
     . font-lock-builtin-face)
    (,(regexp-opt '("false" "null" "true") 'symbols) . font-lock-constant-face)
    ("<[[:alnum:]+._-]+\\(?:/[[:alnum:]+._-]+\\)*>" . font-lock-constant-face)
    ;; The path that a binding binds; not the left side of ==.
    ("\\_<\\([[:alpha:]_][[:alnum:]_'.-]*\\)[ \t]*=\\(?:[^=]\\|$\\)"
     1 font-lock-variable-name-face)
    ;; An interpolation, in strings too.
    ("\\${[^}\n]*}" 0 font-lock-variable-name-face prepend))
  "Font lock keywords of `tvix-nix-mode'.")

;;;; Indentation of the fallback mode

(defcustom tvix-nix-indent-offset 2
  "Columns of one step of indentation in `tvix-nix-mode'."
  :type 'natnum
  :safe #'natnump)

(defun tvix-nix--back-to (opener closer limit)
  "Go back to the word OPENER which the word CLOSER at point belongs to.
Step over the pairs between them, do not go before LIMIT, and tell whether
OPENER is there.  Both are regular expressions."
  (let ((depth 1))
    (condition-case nil
        (while (and (> depth 0) (> (point) limit))
          (forward-sexp -1)
          (cond ((looking-at-p closer) (setq depth (1+ depth)))
                ((looking-at-p opener) (setq depth (1- depth)))))
      (scan-error nil))
    (= depth 0)))

(defun tvix-nix--binding-indentation (limit)
  "Return the indentation of the first line of the binding before point.
Point is behind its semicolon.  Do not look before LIMIT."
  (let ((start (1- (point))))
    (goto-char start)
    (condition-case nil
        (while (progn
                 (forward-comment (- (point)))
                 (and (> (point) limit)
                      (not (eq (char-before) ?\;))
                      (not (looking-back "\\_<let" (- (point) 3)))))
          (skip-syntax-backward "." limit)
          (forward-sexp -1)
          (when (looking-at-p "in\\_>")
            (tvix-nix--back-to "let\\_>" "in\\_>" limit))
          (setq start (point)))
      (scan-error nil))
    (goto-char start)
    (current-indentation)))

(defun tvix-nix--indentation ()
  "Return the column for the line whose first character is at point.
Nil inside strings and comments, where it is the author's."
  (save-excursion
    (let* ((state (syntax-ppss))
           (bracket (nth 1 state))
           (limit (if bracket (1+ bracket) (point-min)))
           (inner (if bracket
                      (+ tvix-nix-indent-offset
                         (save-excursion (goto-char bracket)
                                         (current-indentation)))
                    0)))
      (cond
       ((nth 8 state) nil)
       ((and bracket (looking-at-p "\\s)"))
        (- inner tvix-nix-indent-offset))
       ((looking-at-p "in\\_>")
        (if (tvix-nix--back-to "let\\_>" "in\\_>" limit)
            (current-indentation)
          inner))
       ((looking-at-p "\\(?:then\\|else\\)\\_>")
        (if (tvix-nix--back-to "if\\_>" "else\\_>" limit)
            (current-indentation)
          inner))
       (t
        (forward-comment (- (point)))
        (cond
         ((or (<= (point) limit)
              (and bracket (= (line-number-at-pos) (line-number-at-pos bracket))))
          inner)
         ((eq (char-before) ?\;) (tvix-nix--binding-indentation limit))
         ((or (eq (char-before) ?=)
              (looking-back "\\_<\\(?:let\\|then\\|else\\)" (- (point) 4))
              (save-excursion (back-to-indentation)
                              (looking-at-p "inherit\\_>")))
          (+ (current-indentation) tvix-nix-indent-offset))
         (t (current-indentation))))))))

(defun tvix-nix-indent-line ()
  "Indent the current line of Nix by the brackets around it."
  (let ((column (save-excursion (back-to-indentation) (tvix-nix--indentation))))
    (cond ((null column) 'noindent)
          ((<= (current-column) (current-indentation)) (indent-line-to column))
          (t (save-excursion (indent-line-to column))))))

;;;; The fallback mode

;;;###autoload
(define-derived-mode tvix-nix-mode prog-mode "Nix"
  "Small major mode for Nix files, for an Emacs without nix-mode.
It knows comments, strings, a few colours and brackets; the language is the
server's business, see `tvix-lsp-command'."
  (setq-local comment-start "# "
              comment-end ""
              comment-start-skip "\\(?:#+\\|/\\*+\\)[ \t]*"
              parse-sexp-ignore-comments t
              parse-sexp-lookup-properties t
              syntax-propertize-function #'tvix-nix--propertize
              font-lock-defaults '(tvix-nix--font-lock-keywords)
              indent-line-function #'tvix-nix-indent-line
              indent-tabs-mode nil)
  (setq-local electric-indent-chars (append "]})" electric-indent-chars)))

;; At the end of the list, so that any other mode for .nix files wins.
;;;###autoload
(add-to-list 'auto-mode-alist '("\\.nix\\'" . tvix-nix-mode) t)

(provide 'tvix-lsp)
;;; tvix-lsp.el ends here
