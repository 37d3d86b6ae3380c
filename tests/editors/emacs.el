;;; emacs.el --- Drives a real Emacs with Eglot against the server  -*- lexical-binding: t; -*-

;; emacs --batch -Q -L DIRECTORY-OF-EGLOT -l emacs.el -f tvix-editors-run, with a JSON object in the
;; environment variable TVIX_EDITORS: {"package": FILE.el, "server": FILE, "cases": FILE,
;; "roots": {NAME: DIR}, "work": DIR, "artifacts": DIR}.
;;
;; Prints a line "PASS …" or "FAIL …" for every case.

;;; Code:

(require 'checkdoc)
(require 'cl-lib)
(require 'eglot)
(require 'project)
(require 'subr-x)
(require 'xref)

(defconst tvix-editors-options (json-parse-string (getenv "TVIX_EDITORS")))

(defun tvix-editors-option (name)
  (gethash name tvix-editors-options))

;; In seconds.
(defconst tvix-editors-first-answer 90) ; the server starts, and loads the package set
(defconst tvix-editors-deadline 20)     ; of anything later
(defconst tvix-editors-retry 3)         ; after which the same question is asked again

(defvar tvix-editors-patience tvix-editors-first-answer)
(defvar tvix-editors-failed 0)

(defun tvix-editors-report (title function)
  "Call FUNCTION and print whether it passed, that is, raised no error, under TITLE."
  (let* ((started (float-time))
         (problem (condition-case error (progn (funcall function) nil)
                    (error (error-message-string error))))
         (seconds (format "%.1f s" (- (float-time) started))))
    (if (not problem)
        (princ (format "PASS emacs, %s (%s)\n" title seconds))
      (cl-incf tvix-editors-failed)
      (princ (format "FAIL emacs, %s (%s): %s\n" title seconds problem)))))

(defmacro tvix-editors-check (title &rest body)
  (declare (indent 1))
  `(tvix-editors-report ,title (lambda () ,@body)))

(defun tvix-editors-equal (expected got)
  (unless (equal expected got)
    (error "Expected %S, got %S" expected got)))

;;;; The package itself

(defun tvix-editors-with-nix (text function)
  "Call FUNCTION in a buffer of the fallback mode with TEXT, point at the `|' in it."
  (with-temp-buffer
    (insert text)
    (tvix-nix-mode)
    (goto-char (point-min))
    (when (search-forward "|" nil t)
      (delete-char -1))
    (funcall function)))

(defun tvix-editors-indented (text)
  (tvix-editors-with-nix
   (replace-regexp-in-string "^ +" "" text)
   (lambda ()
     (let ((inhibit-message t))
       (indent-region (point-min) (point-max)))
     (buffer-string))))

(defun tvix-editors-face (text)
  (tvix-editors-with-nix
   text (lambda () (font-lock-ensure) (get-text-property (point) 'face))))

(defun tvix-editors-check-package ()
  (let ((file (tvix-editors-option "package")))
    (tvix-editors-check "package: compiles without warnings"
      (let ((byte-compile-error-on-warn t)
            (byte-compile-dest-file-function
             (lambda (_) (expand-file-name "tvix-lsp.elc" (tvix-editors-option "work")))))
        (unless (eq t (byte-compile-file file))
          (error "See the messages above"))))
    (tvix-editors-check "package: documentation strings are clean"
      (let* ((problems nil)
             (checkdoc-create-error-function
              (lambda (text start &rest _)
                (push (format "line %d: %s" (if start (line-number-at-pos start) 0) text) problems)
                nil)))
        (with-current-buffer (find-file-noselect file)
          (checkdoc-current-buffer t))
        (tvix-editors-equal nil problems)))
    (load file nil t))
  (tvix-editors-check "package: stands in front of Eglot's own entry for nix-mode"
    (dolist (mode '(nix-mode nix-ts-mode tvix-nix-mode))
      (tvix-editors-equal '("nix" tvix-lsp-contact) (cdr (eglot--lookup-mode mode)))))
  (tvix-editors-check "package: the fallback mode opens .nix files, any other mode wins"
    (tvix-editors-equal 'tvix-nix-mode (assoc-default "/a/default.nix" auto-mode-alist #'string-match))
    (let ((auto-mode-alist (cons '("\\.nix\\'" . nix-mode) auto-mode-alist)))
      (load (tvix-editors-option "package") nil t)
      (tvix-editors-equal 'nix-mode (assoc-default "/a/default.nix" auto-mode-alist #'string-match))))
  (tvix-editors-check "package: colours of the fallback mode"
    (tvix-editors-equal 'font-lock-comment-face (tvix-editors-face "{ } # no|te"))
    (tvix-editors-equal 'font-lock-comment-face (tvix-editors-face "/* no|te */ { }"))
    (tvix-editors-equal nil (tvix-editors-face "a // b|c"))
    (tvix-editors-equal 'font-lock-string-face (tvix-editors-face "''\n  # te|xt\n''"))
    (tvix-editors-equal 'font-lock-string-face (tvix-editors-face "'' ''' ''${x} ''\\n te|xt ''"))
    (tvix-editors-equal nil (tvix-editors-face "'' text '' na|me"))
    (tvix-editors-equal nil (tvix-editors-face "args'' na|me args''"))
    (tvix-editors-equal 'font-lock-keyword-face (tvix-editors-face "l|et a = 1; in a"))
    (tvix-editors-equal 'font-lock-variable-name-face (tvix-editors-face "{ a.b|c = 1; }"))
    (tvix-editors-equal nil (tvix-editors-face "a|b == c")))
  (tvix-editors-check "package: indentation of the fallback mode"
    (dolist (text '("{ lib,\n  stdenv,\n}:\n\nstdenv.mkDerivation {\n  a = [\n    b\n    c\n  ];\n  d = 1;\n}\n"
                    "let\n  a =\n    let\n      b = 1;\n    in\n    b;\n  c = 2;\nin\na + c\n"
                    "{\n  inherit (lib)\n    a\n    b\n    ;\n  c =\n    if a then\n      b\n    else\n      c;\n  d = 1;\n}\n"))
      (tvix-editors-equal text (tvix-editors-indented text)))
    (tvix-editors-equal "{\n  a = ''\n  kept\n     as it is\n  '';\n}\n"
                        (tvix-editors-with-nix "{\na = ''\n  kept\n     as it is\n  '';\n}\n"
                                               (lambda ()
                                                 (let ((inhibit-message t))
                                                   (indent-region (point-min) (point-max)))
                                                 (buffer-string))))))

;;;; Answers of the server

(defun tvix-editors-place (at)
  "Return the position of the `|' in AT, which without it must occur once in the buffer."
  (save-excursion
    (let ((anchor (string-replace "|" "" at))
          (case-fold-search nil))
      (goto-char (point-min))
      (unless (and (search-forward anchor nil t)
                   (not (save-excursion (search-forward anchor nil t))))
        (error "%S should occur once in the file" anchor))
      (+ (match-beginning 0) (string-search "|" at)))))

(defun tvix-editors-must-be-news (shown)
  "Raise an error if SHOWN is in the buffer: it could be shown without any server."
  (when (string-search shown (buffer-string))
    (error "%S is in the file itself and would prove nothing" shown)))

(defun tvix-editors-until (what ask answered)
  "Call ASK and wait until ANSWERED, again and again until the deadline.
ANSWERED returns non-nil, or a cons of nil and what was seen instead.  WHAT is
for the error message."
  (let ((deadline (+ (float-time) tvix-editors-patience))
        (seen nil)
        (answer nil))
    (while (and (not answer) (< (float-time) deadline))
      (funcall ask)
      (let ((retry (min deadline (+ (float-time) tvix-editors-retry))))
        (while (progn
                 (setq answer (funcall answered))
                 (when (and (consp answer) (null (car answer)))
                   (setq seen (or (cdr answer) seen)
                         answer nil))
                 (and (not answer) (< (float-time) retry)))
          (accept-process-output nil 0.05))))
    (or answer
        (error "%s did not appear in %d s; last seen: %S" what tvix-editors-patience seen))))

(defun tvix-editors-send-changes ()
  "Do what Eglot does when Emacs is idle, which it never is in batch."
  (eglot--signal-textDocument/didChange))

(defun tvix-editors-hover (at shows)
  "Wait until ElDoc's buffer shows SHOWS with point at AT."
  (tvix-editors-must-be-news shows)
  (goto-char (tvix-editors-place at))
  (when (buffer-live-p eldoc--doc-buffer)
    (kill-buffer eldoc--doc-buffer))    ; what an earlier case was shown
  (tvix-editors-until
   (format "A hover with %S" shows)
   (lambda ()
     (setq eldoc--last-request-state nil) ; else ElDoc does not ask again at the same place
     (eldoc-print-current-symbol-info))
   (lambda ()
     (let ((text (if (buffer-live-p eldoc--doc-buffer)
                     (with-current-buffer eldoc--doc-buffer (buffer-string))
                   "")))
       (or (string-search shows text) (cons nil text))))))

(defun tvix-editors-candidates ()
  "Return what `completion-at-point' would offer."
  (pcase (run-hook-wrapped 'completion-at-point-functions #'completion--capf-wrapper 'all)
    (`(,_ ,start ,end ,table . ,plist)
     (all-completions (buffer-substring start end) table (plist-get plist :predicate)))))

(defun tvix-editors-completion (narrow shows)
  "Wait until SHOWS is offered at point and with NARROW typed, and complete to it."
  (let (names)
    ;; The bare select first: it is the broken text that has to be answered.
    (tvix-editors-until "A list of completions" #'ignore #'tvix-editors-candidates)
    (when narrow (insert narrow))
    (tvix-editors-until
     (format "A completion %S" shows)
     (lambda () (setq names (mapcar #'substring-no-properties (tvix-editors-candidates))))
     (lambda () (or (member shows names) (cons nil names))))
    (when narrow
      (let ((inhibit-message t))
        (completion-at-point))
      (unless (looking-back (regexp-quote shows) (line-beginning-position))
        (error "Completed to %S" (buffer-substring (line-beginning-position) (point)))))))

(defun tvix-editors-definition (at file line)
  "Wait until the definition of what is at AT leads to a LINE in FILE."
  (let ((from (current-buffer))
        (place (tvix-editors-place at)))
    (tvix-editors-until
     (format "The definition in %s%s" file (if line (format " at %S" line) ""))
     (lambda ()
       (switch-to-buffer from)
       (goto-char place)
       (condition-case error
           (xref-find-definitions (xref-backend-identifier-at-point 'eglot))
         (user-error (message "%s" (error-message-string error)))))
     (lambda ()
       (with-current-buffer (window-buffer)
         (let ((here (buffer-substring (line-beginning-position) (line-end-position))))
           (or (and buffer-file-name
                    (file-equal-p buffer-file-name file)
                    (or (null line)
                        (and (string-search line here)
                             (/= (line-number-at-pos) (line-number-at-pos place)))))
               (cons nil (format "%s: %s" (or buffer-file-name (buffer-name)) here)))))))))

(defun tvix-editors-action (at title)
  "Wait until TITLE is among the code actions at AT, and choose it."
  (goto-char (tvix-editors-place at))
  (tvix-editors-until
   (format "An action %S" title)
   #'ignore
   (lambda ()
     (let ((titles (mapcar (lambda (action) (plist-get action :title))
                           (eglot-code-actions (point) (point)))))
       (or (member title titles) (cons nil titles)))))
  (let ((last-nonmenu-event t))         ; no mouse was used
    (cl-letf (((symbol-function 'completing-read) (lambda (&rest _) title)))
      (call-interactively #'eglot-code-actions))))

(defun tvix-editors-case (root case)
  "Run CASE, a JSON object, in the current buffer, a file below ROOT."
  (let ((edit (gethash "edit" case))
        (action (gethash "action" case))
        (hover (gethash "hover" case))
        (completion (gethash "completion" case))
        (definition (gethash "definition" case)))
    (when completion
      (tvix-editors-must-be-news (gethash "shows" completion)))
    (when edit
      (goto-char (tvix-editors-place (gethash "at" edit)))
      (delete-region (point) (line-end-position))
      (insert (gethash "type" edit))
      (tvix-editors-send-changes))
    (when action
      (tvix-editors-action (gethash "at" action) (gethash "title" action)))
    (when hover
      (tvix-editors-hover (gethash "at" hover) (gethash "shows" hover)))
    (when completion
      (tvix-editors-completion (gethash "narrow" completion) (gethash "shows" completion)))
    (when definition
      (tvix-editors-definition (gethash "at" definition)
                               (expand-file-name (gethash "file" definition) root)
                               (gethash "line" definition)))))

(defun tvix-editors-connect ()
  "Connect the current buffer; that is `M-x eglot' without its questions."
  (let ((eglot-sync-connect 30))
    (apply #'eglot--connect (eglot--guess-contact)))
  (tvix-editors-until "A connection" #'ignore (lambda () (and (eglot-current-server) t))))

(defun tvix-editors-keep-log (name)
  "Keep what Eglot and the server said in a file called NAME."
  (when-let ((server (eglot-current-server)))
    (with-temp-file (expand-file-name name (tvix-editors-option "artifacts"))
      (dolist (buffer (list (jsonrpc-events-buffer server) (jsonrpc-stderr-buffer server)))
        (insert-buffer-substring buffer)
        (goto-char (point-max))))))

(defun tvix-editors-run-group (group)
  "Run GROUP, the cases in one file of one workspace."
  (let* ((name (gethash "root" group))
         (root (gethash name (tvix-editors-option "roots")))
         ;; A user's workspace is a checkout of its own; an example is not.
         (project-find-functions (list (lambda (_) (cons 'transient root)))))
    (when root
      (setq tvix-editors-patience tvix-editors-first-answer)
      (find-file (expand-file-name (gethash "file" group) root))
      (let ((file (current-buffer))
            (text (buffer-string)))
        (tvix-editors-check (format "%s: connects" name)
          (tvix-editors-equal 'tvix-nix-mode major-mode)
          (tvix-editors-connect))
        (when (eglot-current-server)
          (seq-doseq (case (gethash "cases" group))
            (tvix-editors-check (format "%s: %s" name (gethash "name" case))
              (tvix-editors-case root case))
            (setq tvix-editors-patience tvix-editors-deadline)
            (switch-to-buffer file)
            (erase-buffer)
            (insert text)
            (tvix-editors-send-changes))
          (tvix-editors-keep-log (format "emacs-%s-%s.log" name
                                         (file-name-base (gethash "file" group))))
          (eglot-shutdown (eglot-current-server)))
        (set-buffer-modified-p nil)
        (kill-buffer file)))))

(defun tvix-editors-run ()
  "Run everything and exit."
  (setq create-lockfiles nil
        make-backup-files nil
        auto-save-default nil
        eldoc-idle-delay 0
        eglot-events-buffer-size 200000)
  (tvix-editors-check-package)
  (setq tvix-lsp-command (list (tvix-editors-option "server") "--stdio"))
  (seq-doseq (group (with-temp-buffer
                      (insert-file-contents (tvix-editors-option "cases"))
                      (json-parse-buffer)))
    (tvix-editors-run-group group))
  (kill-emacs (if (zerop tvix-editors-failed) 0 1)))

;;; emacs.el ends here
